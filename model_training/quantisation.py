"""Models whose weights have fewer bits: a language model's GGUF file, and an ONNX model of one's own.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

KINDS = ("F16", "Q8_0", "Q5_0", "Q4_0")  # of weights, which the package gguf writes without llama.cpp
BLOCK = 32  # weights that share a scale
EMBEDDING = "token_embd.weight"  # SmolLM2's last layer, too: it gets no fewer than 8 bits, as in llama.cpp


def requantise(
    source: Path, kind: str, folder: Path, progress: Callable[[float], None] = lambda share: None
) -> Path:
    """A copy in `folder` of the GGUF file `source` with its matrices in `kind`; where there is one, that one.
    `progress` is told which share is done, from 0 to 1.

    What `source` has lost is lost: from 4 bits, F16 is a larger file and no better one. Takes some seconds
    for a hundred million weights. Raises ValueError for a kind not in KINDS and for what is no GGUF file, and
    OSError."""
    if kind not in KINDS:
        raise ValueError(f"no kind is called {kind!r}; there are {', '.join(KINDS)}")
    target = folder / f"{source.name.split('.')[0]}.{kind}.gguf"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    try:
        write(source, unfinished, kind, progress)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def write(source: Path, target: Path, kind: str, progress: Callable[[float], None]) -> None:
    import gguf
    from gguf import quants

    types, reader = gguf.GGMLQuantizationType, gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, arch=reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if not field.name.startswith(("GGUF.", "general.architecture", "general.file_type")):
            outer, *inner = field.types
            writer.add_key_value(field.name, field.contents(), outer, *inner)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    total, done = sum(int(tensor.n_elements) for tensor in reader.tensors), 0
    for tensor in reader.tensors:
        data, stored = tensor.data, tensor.tensor_type
        if len(tensor.shape) > 1 and tensor.shape[0] % BLOCK == 0:  # else a few numbers, as they are
            stored = types.Q8_0 if tensor.name == EMBEDDING and kind != "F16" else types[kind]
            data = quants.quantize(quants.dequantize(data, tensor.tensor_type), stored)
        writer.add_tensor(tensor.name, data, raw_dtype=stored)
        done += int(tensor.n_elements)
        progress(done / total)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def int8(model: bytes) -> bytes:
    """An ONNX model with the weights of its matrix products in 8 bits, and what it is fed rounded to 8 bits
    as it comes (dynamic quantisation): inputs and outputs stay as they are, and no example rows are needed.
    The weights use 7 of their bits: with all 8, sums saturate on processors without VNNI
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(model)
        logging.disable(logging.WARNING)  # it recommends a step that does nothing here
        try:
            quantize_dynamic(source, target, weight_type=QuantType.QInt8, reduce_range=True)
        finally:
            logging.disable(logging.NOTSET)
        return target.read_bytes()
