"""The starter's text encoder and denoiser, trained together on latents.

Zero-terminal-SNR v-prediction (Lin et al., 2023, https://arxiv.org/abs/2305.08891), because flat bright backgrounds
need pure noise at the first step; min-SNR weights (Hang et al., 2023, https://arxiv.org/abs/2303.09556).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from starter.group_norm import use_channels_last
from starter.optimizer import MasterWeights
from starter.portrait import ATTRIBUTES, MOODS, Portrait, caption, draw_lots
from starter.tokenizer import LIMIT
from starter.training import Run, Shape, run

WIDTH = 160  # of the text encoder
CHANNELS = (48, 96, 128, 128)
BATCH = 32
LEARNING_RATE = 2e-3
MIN_SNR = 5.0
MOOD_WEIGHT = 8.0  # how many times more the place of the mouth counts than a background
ATTENTION = "eager"  # plain products: flash attention on a CPU is slow backwards
WORD_STEPS = 400
WORD_BATCH = 64
LONGEST_CAPTION = 40  # tokens, with a few to spare; the end of a caption is all that learning words looks at


def build_unet() -> UNet2DConditionModel:
    """An untrained denoiser for 16 x 16 latents."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=CHANNELS,
        layers_per_block=2,
        attention_head_dim=4,  # the number of heads: diffusers kept the name of an early mistake
        cross_attention_dim=WIDTH,
        norm_num_groups=16,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder for `tokenizer`."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_scheduler() -> DDIMScheduler:
    """The noise schedule it is trained on, and the sampler that ships with it."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def tokens(tokenizer: CLIPTokenizer, texts: Sequence[str], length: int = LIMIT) -> Tensor:
    """Token numbers, N x `length`."""
    return tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids


def _embeddings(text_encoder: CLIPTextModel) -> list[nn.Parameter]:
    return [p for name, p in text_encoder.named_parameters() if "embedding" in name]


def teach_words(state: Path, tokenizer: CLIPTokenizer, seed: int) -> CLIPTextModel:
    """A text encoder that tells from a caption what the picture will show, in a few minutes and without pictures.

    It learns to classify the attributes at the end of the caption; the denoiser then finds them there from its first
    step on, where learning words and pictures at once left skin and style to the very last.
    """
    torch.manual_seed(seed)
    text_encoder = build_text_encoder(tokenizer)
    heads = nn.ModuleDict({name: nn.Linear(WIDTH, len(values)) for name, values in ATTRIBUTES.items()})
    student = nn.ModuleList([text_encoder, heads])
    weights = MasterWeights(student, LEARNING_RATE, average=0.99, embeddings=_embeddings(text_encoder))

    def loss(_shape: Shape, rows: np.ndarray, step: int) -> Tensor:
        random = Random(f"{seed}/words/{step}")
        portraits = [draw_lots(random) for _ in rows]
        numbers = tokens(tokenizer, [caption(portrait, random) for portrait in portraits], LONGEST_CAPTION)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = text_encoder(numbers).last_hidden_state
        # From the end of the caption on, every place has read it whole.
        after = (numbers == tokenizer.eos_token_id).float()
        summary = (hidden.float() * after[..., None]).sum(1) / after.sum(1, keepdim=True)
        classes = [portrait.classes() for portrait in portraits]
        losses = [
            nn.functional.cross_entropy(head(summary), torch.tensor([c[name] for c in classes]), ignore_index=-1)
            for name, head in heads.items()
        ]
        return torch.stack(losses).mean()

    run(state, Run(steps=WORD_STEPS, seed=seed), weights, {(0, 0): 10**6}, WORD_BATCH, loss, str)
    weights.load_average_into(student)
    return text_encoder


@dataclass(frozen=True, kw_only=True)
class Latents:
    """The latents of one shape (fp16 means and log variances, N x 8 x h x w) and what their pictures show."""

    parameters: np.ndarray
    portraits: Sequence[Portrait]


def min_snr_weight(alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """min(SNR, 5) / (SNR + 1), the min-SNR weight of a v-prediction loss; 0 / 1 at zero SNR becomes a small floor."""
    snr = alphas_cumprod[timesteps] / (1 - alphas_cumprod[timesteps]).clamp_min(1e-8)
    return (snr.clamp_max(MIN_SNR) / (snr + 1)).clamp_min(0.1)


def mood_places(latents: Latents) -> dict[str, Tensor]:
    """For each art style, how much each place of a picture counts in the loss (1 x h x w, 1 to 1 + `MOOD_WEIGHT`).

    A mouth is two latents of 256, so a wrong mood hardly costs anything and is learnt last. It counts more where the
    means of the smiling and of the serious pictures of a style lie apart.
    """
    means = latents.parameters[:, :4]
    keys = np.array([(portrait.style, portrait.mood) for portrait in latents.portraits])
    places: dict[str, Tensor] = {}
    for style in np.unique(keys[:, 0]):
        smiling, serious = (means[(keys == (style, mood)).all(1)].mean(0, dtype=np.float32) for mood in MOODS)
        apart = torch.from_numpy(smiling - serious).square().sum(0, keepdim=True).sqrt()
        places[str(style)] = 1 + MOOD_WEIGHT * apart / apart.max()
    return places


def train(
    state: Path,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    latents: Mapping[Shape, Latents],
    scaling_factor: float,
    plan: Run,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Trains denoiser and text encoder, or goes on, for `plan.steps` in all; returns their averaged weights in fp32."""
    torch.manual_seed(plan.seed)
    unet = build_unet()
    unet.set_attn_processor(AttnProcessor())  # plain too
    use_channels_last(unet)
    pair = nn.ModuleList([unet, text_encoder]).bfloat16()
    weights = MasterWeights(pair, LEARNING_RATE, average=0.999, embeddings=_embeddings(text_encoder))
    scheduler = build_scheduler()
    alphas_cumprod = scheduler.alphas_cumprod
    places = {shape: mood_places(part) for shape, part in latents.items()}

    def loss(shape: Shape, rows: np.ndarray, step: int) -> Tensor:
        # 1. Latents and captions of this batch; both are drawn anew each time a picture comes round.
        mean, log_variance = torch.from_numpy(latents[shape].parameters[rows]).float().chunk(2, dim=1)
        clean = (mean + torch.exp(0.5 * log_variance.clamp(-30, 20)) * torch.randn_like(mean)) * scaling_factor
        random = Random(f"{plan.seed}/captions/{step}/{plan.rank}")
        numbers = tokens(tokenizer, [caption(latents[shape].portraits[row], random) for row in rows])
        # 2. Noise them. Timesteps are spread evenly over the batch, which steadies the gradient.
        offsets = (torch.arange(len(rows)) + torch.rand(len(rows))) / len(rows)
        timesteps = (offsets * len(alphas_cumprod)).long()
        noise = torch.randn_like(clean)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        wanted = scheduler.get_velocity(clean, noise, timesteps)
        # 3. Predict the velocity.
        hidden = text_encoder(numbers).last_hidden_state
        inputs = noisy.bfloat16().to(memory_format=torch.channels_last)
        made = unet(inputs, timesteps, encoder_hidden_states=hidden, return_dict=False)[0]
        place = torch.stack([places[shape][latents[shape].portraits[row].style] for row in rows])
        error = ((made.float() - wanted).square() * place).mean(dim=(1, 2, 3))
        return (error * min_snr_weight(alphas_cumprod, timesteps)).mean()

    counts = {shape: len(part.portraits) for shape, part in latents.items()}
    run(state, plan, weights, counts, BATCH, loss, str)
    trained = nn.ModuleList([build_unet(), build_text_encoder(tokenizer)])
    weights.load_average_into(trained)
    return trained[0].eval(), trained[1].eval()  # type: ignore[return-value]
