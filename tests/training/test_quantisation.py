"""Fewer bits for each weight: what is written is what is read, and no more is lost than the bits say."""

import numpy as np
import onnxruntime
import pytest

from model_training.distillation import distil
from model_training.quantisation import BLOCK, EMBEDDING, KINDS, int8, requantise

gguf = pytest.importorskip("gguf")
WIDTH = 64
LARGEST_ERROR = {"F16": 1e-3, "Q8_0": 1 / 127, "Q5_0": 1 / 16, "Q4_0": 1 / 8}  # of a block's largest weight


@pytest.fixture
def source(tmp_path):
    """A GGUF file that has all kinds of tensors."""
    chance, path = np.random.default_rng(1), tmp_path / "Little.Q4_1.gguf"
    writer = gguf.GGUFWriter(path, arch="llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_token_list([f"token {number}" for number in range(96)])
    writer.add_uint32("llama.block_count", 1)
    for name, shape, kind in (
        (EMBEDDING, (96, WIDTH), "Q8_0"),
        ("blk.0.attn_q.weight", (WIDTH, WIDTH), "Q4_1"),
        ("blk.0.attn_norm.weight", (WIDTH,), "F32"),
        ("blk.0.odd.weight", (WIDTH, BLOCK + 1), "F32"),
    ):
        data = gguf.quants.quantize(
            chance.normal(size=shape).astype(np.float32), gguf.GGMLQuantizationType[kind]
        )
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(path) -> dict:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def weights(tensor) -> np.ndarray:
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_as_near_as_its_bits_allow(source, kind):
    shares = []
    target = requantise(source, kind, source.parent / "made", shares.append)
    assert target.name == f"Little.{kind}.gguf"
    before, after = tensors(source), tensors(target)
    matrix = after["blk.0.attn_q.weight"]
    assert matrix.tensor_type.name == kind
    blocks, found = (weights(one["blk.0.attn_q.weight"]).reshape(-1, BLOCK) for one in (before, after))
    error = np.abs(blocks - found).max(axis=1) / np.abs(blocks).max(axis=1)
    assert 0 < error.max() <= LARGEST_ERROR[kind] * 1.01 if kind != "F16" else error.max() <= 1e-3
    assert after[EMBEDDING].tensor_type.name == ("F16" if kind == "F16" else "Q8_0")
    for name in ("blk.0.attn_norm.weight", "blk.0.odd.weight"):
        assert np.array_equal(before[name].data, after[name].data), name
    assert shares == sorted(shares) and shares[-1] == 1


def test_all_else_that_the_file_says_is_kept(source):
    target = requantise(source, "Q8_0", source.parent)
    before, after = (gguf.GGUFReader(path).fields for path in (source, target))
    told = {name for name in before if not name.startswith("GGUF.")}
    assert told == {name for name in after if not name.startswith(("GGUF.", "general.quantization_version"))}
    for name in told - {"general.file_type"}:
        assert before[name].contents() == after[name].contents(), name
    assert after["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0


def test_it_is_made_once_and_whole_or_not_at_all(source, monkeypatch):
    made = requantise(source, "Q4_0", source.parent)
    at = made.stat().st_mtime_ns
    assert requantise(source, "Q4_0", source.parent) == made and made.stat().st_mtime_ns == at

    def interrupted(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        requantise(source, "Q8_0", source.parent, interrupted)
    assert sorted(path.name for path in source.parent.iterdir()) == ["Little.Q4_0.gguf", source.name]


def test_what_cannot_be_requantised_is_told(source, tmp_path):
    with pytest.raises(ValueError, match=r"'Q4_K'; there are F16, Q8_0"):
        requantise(source, "Q4_K", tmp_path)
    (tmp_path / "no.gguf").write_bytes(b"no model" * 100)
    with pytest.raises(ValueError):
        requantise(tmp_path / "no.gguf", "Q8_0", tmp_path)
    assert not list(tmp_path.glob("no.Q8_0*"))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # a few epochs will do
def test_a_network_in_8_bits_is_a_quarter_and_says_nearly_the_same():
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    rows, labels = load_digits(return_X_y=True)
    rows = (rows / 16).astype(np.float32)
    with threadpool_limits(1):
        network = MLPClassifier((128, 128), max_iter=5, random_state=1).fit(rows, labels)
    model = to_onnx(network, rows[:1], options={"zipmap": False}).SerializeToString()
    small = int8(model)
    assert len(small) < 0.35 * len(model)
    (label, scores), (label_8, scores_8) = (
        onnxruntime.InferenceSession(each).run(None, {"X": rows}) for each in (model, small)
    )
    assert (label == label_8).mean() > 0.99
    assert 0 < np.abs(scores - scores_8).max() < 0.5


def test_a_taught_tree_knows_more_than_one_that_learned_alone():
    from sklearn.datasets import load_digits
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows, labels = load_digits(return_X_y=True)
    known, unlabelled, test = slice(0, 300), slice(0, 1200), slice(1200, None)
    teacher = ExtraTreesClassifier(50, random_state=1).fit(rows[known], labels[known])
    alone = DecisionTreeClassifier(random_state=1).fit(rows[known], labels[known])
    taught = distil(teacher, DecisionTreeRegressor(min_samples_leaf=3, random_state=1), rows[unlabelled])
    shares = taught.predict(rows[test])
    assert shares.shape == (597, 10) and np.allclose(shares.sum(axis=1), 1)
    assert (shares.argmax(axis=1) == labels[test]).mean() > alone.score(rows[test], labels[test]) + 0.05
