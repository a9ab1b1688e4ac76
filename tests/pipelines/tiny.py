"""Tiny randomly initialised bases, one of each layout the studio draws with, as ordinary diffusers folders.

They draw coloured noise, deterministically: enough to prove that everything fits together.
"""

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import pre_tokenizers

# Both libraries' annotations are stricter than their code (a tuple of one where any length will do, and so on).
D: Any = diffusers
T: Any = transformers

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


def clip_tokenizer() -> Any:
    """Every byte alone, so every text can be read; 77 tokens."""
    tokens = [*BYTES, *(byte + "</w>" for byte in BYTES), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return T.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def chat_tokenizer() -> Any:
    tokens = [*BYTES, "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = T.Qwen2Tokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHAT
    return tokenizer


def clip_text(kind: Any, tokenizer: Any, width: int) -> Any:
    return kind(
        T.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            projection_dim=width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def autoencoder(channels: int = 4, side: int = 128, **more: Any) -> Any:
    return D.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=side,
        **more,
    )


def sd(folder: Path, *, zero_snr: bool = True, side: int = 16, **more: Any) -> Path:
    """Stable Diffusion 1.x's layout; as the starter has it, v-prediction and zero terminal SNR."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    unet = D.UNet2DConditionModel(
        sample_size=side,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(16, 32, 32, 32),
        layers_per_block=2,
        attention_head_dim=2,
        cross_attention_dim=32,
        norm_num_groups=8,
        **more,
    )
    noise: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    if zero_snr:
        noise |= {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    D.StableDiffusionPipeline(
        vae=autoencoder(side=side * 8),
        text_encoder=clip_text(T.CLIPTextModel, tokenizer, 32),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=D.DDIMScheduler(**noise, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def sdxl(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    unet = D.UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32, 32),
        layers_per_block=2,
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(1, 2, 2),
        cross_attention_dim=64,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
        norm_num_groups=8,
    )
    D.StableDiffusionXLPipeline(
        vae=autoencoder(scaling_factor=0.13025),
        text_encoder=clip_text(T.CLIPTextModel, tokenizer, 32),
        text_encoder_2=clip_text(T.CLIPTextModelWithProjection, tokenizer, 32),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=D.EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
    ).save_pretrained(folder)
    return folder


def _chat_model(kind: Any, tokenizer: Any, layers: int) -> Any:
    return kind(
        T.Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
        )
    )


def klein(folder: Path, *, distilled: bool = True) -> Path:
    """FLUX.2 klein: its pipeline takes the hidden states of layers 9, 18 and 27."""
    torch.manual_seed(0)
    tokenizer = chat_tokenizer()
    D.Flux2KleinPipeline(
        scheduler=D.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=D.AutoencoderKLFlux2(
            block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=64
        ),
        text_encoder=_chat_model(T.Qwen3ForCausalLM, tokenizer, 27),
        tokenizer=tokenizer,
        transformer=D.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=distilled,
    ).save_pretrained(folder)
    return folder


def z_image(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = chat_tokenizer()
    D.ZImagePipeline(
        scheduler=D.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_chat_model(T.Qwen3Model, tokenizer, 3),
        tokenizer=tokenizer,
        transformer=D.ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 128, 128],
        ),
    ).save_pretrained(folder)
    return folder
