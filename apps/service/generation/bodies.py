"""OpenAI's requests and answers, as far as they are served here.
https://platform.openai.com/docs/api-reference/chat and …/completions"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from apps.service.bodies import Answer, Body

Share = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
NOT_SERVED = ("logprobs", "top_logprobs", "logit_bias", "tools", "echo", "suffix")
MOST_CHOICES, MOST_STOPS, STOP_CHARACTERS = 4, 4, 64


class TextPart(Body):
    type: Literal["text"]
    text: str


class Message(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def told(self) -> dict[str, str]:
        """As the chat's template takes it."""
        text = self.content
        if not isinstance(text, str):
            text = "".join(part.text for part in text)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class StreamOptions(Body):
    include_usage: bool = False
    include_obfuscation: bool = False


class JsonSchema(Body):
    name: str
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Generated(Body):
    """What both kinds of request may ask for. From `user` on they are taken and change nothing here; those of
    NOT_SERVED are taken where they ask for nothing, as some clients send them."""

    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Share | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | list[str] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None


class ChatRequest(Generated):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    shape: ClassVar[str] = '{"messages": [{"role": "user", "content": text}]}'


class CompletionRequest(Generated):
    prompt: str | list[str]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    shape: ClassVar[str] = '{"prompt": text}'


class PromptTokens(BaseModel):
    cached_tokens: int


class Usage(BaseModel):
    """OpenAI's, and as OpenRouter has it, the cost; in which currency, this server adds."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    cost: float
    currency: str


class FilterResult(BaseModel):
    """What a rule did: `filtered` where it refused the text, else it replaced something."""

    detected: Literal[True] = True
    filtered: bool


FilterResults = dict[str, FilterResult]  # by the rule's name


class PromptFilterResults(BaseModel):
    prompt_index: int
    content_filter_results: FilterResults


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The last is Azure's, and there only where a rule found something, as is the prompt's."""

    index: int
    finish_reason: str
    content_filter_results: FilterResults | None = None


class ChatChoice(Choice):
    message: AssistantMessage


class TextChoice(Choice):
    text: str


class ChatCompletion(Answer):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    prompt_filter_results: list[PromptFilterResults] | None = None


class Completion(Answer):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage
    prompt_filter_results: list[PromptFilterResults] | None = None


class LanguageModel(Answer):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "servelab"


class LanguageModels(Answer):
    object: Literal["list"] = "list"
    data: list[LanguageModel]
