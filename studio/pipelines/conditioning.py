"""Turns prompts into what a pipeline's call takes instead of them: one function for each way of reading a prompt.

Each encodes once, for one picture, on the device that it is told; the call's `num_images_per_prompt` repeats it. A
prompt longer than the text encoder reads is cut, and the cut is told with the words it fell on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

CHAT_TOKENS = 512  # what FLUX.2 klein and Z-Image read, their chat template included


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Arguments for the pipeline's call, and sentences about what was cut."""

    arguments: Mapping[str, Any]
    warnings: tuple[str, ...]


def clip(
    pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device, dtype: torch.dtype
) -> Conditioning:
    """Stable Diffusion 1.x: one CLIP, the same number of tokens for both prompts."""
    limit = int(pipeline.text_encoder.config.max_position_embeddings)
    prompt, warnings = cut(pipeline.tokenizer, prompt, limit, "prompt")
    negative, more = cut(pipeline.tokenizer, negative, limit, "negative")
    embeds = [
        pipeline.encode_prompt(words, device, 1, False)[0].to(dtype)
        for words in ([prompt, negative] if guided else [prompt])
    ]
    names = ("prompt_embeds", "negative_prompt_embeds")
    return Conditioning(arguments=dict(zip(names, embeds, strict=False)), warnings=(*warnings, *more))


def clip_pair(
    pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device, dtype: torch.dtype
) -> Conditioning:
    """Stable Diffusion XL: two CLIPs side by side, and a summary of the second."""
    limit = int(pipeline.text_encoder_2.config.max_position_embeddings)
    prompt, warnings = cut(pipeline.tokenizer_2, prompt, limit, "prompt")
    negative, more = cut(pipeline.tokenizer_2, negative, limit, "negative")
    arguments: dict[str, Any] = {}
    for words, kind in [(prompt, ""), (negative, "negative_")] if guided else [(prompt, "")]:
        embeds, _, pooled, _ = pipeline.encode_prompt(
            words, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        arguments[f"{kind}prompt_embeds"] = embeds.to(dtype)
        arguments[f"{kind}pooled_prompt_embeds"] = pooled.to(dtype)
    return Conditioning(arguments=arguments, warnings=(*warnings, *more))


def klein(
    pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device, dtype: torch.dtype
) -> Conditioning:
    """FLUX.2 klein: layers 9, 18 and 27 of a chat model that is told the prompt."""
    prompt, warnings = cut_chat(pipeline.tokenizer, prompt, "prompt", thinking=False)
    negative, more = cut_chat(pipeline.tokenizer, negative, "negative", thinking=False)
    arguments = {"prompt_embeds": pipeline.encode_prompt(prompt, device)[0].to(dtype)}
    if guided:
        arguments["negative_prompt_embeds"] = pipeline.encode_prompt(negative, device)[0].to(dtype)
    return Conditioning(arguments=arguments, warnings=(*warnings, *more))


def z_image(
    pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device, dtype: torch.dtype
) -> Conditioning:
    """Z-Image: the last layer but one of a chat model, without padding, so as a list of one tensor a picture."""
    prompt, warnings = cut_chat(pipeline.tokenizer, prompt, "prompt", thinking=True)
    negative, more = cut_chat(pipeline.tokenizer, negative, "negative", thinking=True)
    embeds, against = pipeline.encode_prompt(
        prompt, device, do_classifier_free_guidance=guided, negative_prompt=negative if guided else None
    )
    arguments = {
        "prompt_embeds": [one.to(dtype) for one in embeds],
        "negative_prompt_embeds": [one.to(dtype) for one in against],
    }
    return Conditioning(arguments=arguments, warnings=(*warnings, *more))


WAYS: Mapping[str, Callable[..., Conditioning]] = {
    "clip": clip,
    "clip_pair": clip_pair,
    "klein": klein,
    "z_image": z_image,
}


def cut(tokenizer: Any, words: str, limit: int, field: str) -> tuple[str, tuple[str, ...]]:
    """The words a CLIP of `limit` tokens reads, and where the rest was cut off."""
    return _cut(tokenizer, words, limit - 2, field)  # a mark before and one behind


def cut_chat(tokenizer: Any, words: str, field: str, *, thinking: bool) -> tuple[str, tuple[str, ...]]:
    """The words a chat model reads of a prompt in its template, and where the rest was cut off.

    Cut here and not by the tokenizer, which would cut off the end of the template with it.
    """
    frame = tokenizer.apply_chat_template(
        [{"role": "user", "content": ""}], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    return _cut(tokenizer, words, CHAT_TOKENS - len(tokenizer(frame).input_ids), field)


def _cut(tokenizer: Any, words: str, room: int, field: str) -> tuple[str, tuple[str, ...]]:
    """Cuts between two words where it can, so that what is left reads as it did before."""
    read = tokenizer(words, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    tokens = len(read.input_ids)
    if tokens <= room:
        return words, ()
    end = read.offset_mapping[room - 1][1]
    if not words[end : end + 1].isspace():
        end = max(words.rfind(space, 0, end) for space in " \n\t") if words[:end].split()[1:] else end
    kept = words[:end].rstrip(" ,\n\t")
    shown = kept if len(kept) <= 60 else "..." + kept[-57:]
    name = "The prompt" if field == "prompt" else "The negative prompt"
    return kept, (f"{name} is {tokens} tokens long and this base reads {room}: it was cut after “{shown}”.",)
