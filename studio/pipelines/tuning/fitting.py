"""Fits a training that is loaded to the memory that is free: what has to leave, and what is computed anew."""

from importlib import import_module
from typing import Any

import torch

from studio.pipelines.device import Device
from studio.pipelines.tuning import lora, memory
from studio.pipelines.tuning.plan import Plan
from studio.pipelines.tuning.recipe import TuneRecipe


def fitted(device: Device, pipeline: Any, plan: Plan, recipe: TuneRecipe) -> memory.MemoryPlan:
    """Cuts the training to the memory that is free, and readies the networks for it. Raises OutOfMemory."""
    networks = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    sizes = {
        name: sum(one.numel() * one.element_size() for one in part.parameters()) for name, part in networks.items()
    }
    staying = {plan.base.family.denoiser, *recipe.parts}
    free, _ = device.memory()
    found = memory.plan(
        plan.training,
        memory.Load(
            base=sum(sizes.values()),
            staying=sum(sizes[name] for name in staying),
            weights=sum(one.numel() for part in recipe.parts.values() for one in lora.trained(part)),
            pixels=plan.base.family.native**2,
            wide=device.precision.networks == torch.float32,
        ),
        free=free + sum(sizes.values()),
        free_ram=device.machine_memory(),
        own_memory=device.torch.type == "cuda",
        eight_bit=device.torch.type == "cuda" and _has_bitsandbytes(),
        figures=device.figures(),
    )
    for name, network in networks.items():
        if name not in staying:
            network.to("cpu")
    if found.checkpointing:
        networks[plan.base.family.denoiser].enable_gradient_checkpointing()  # type: ignore[operator]
    device.empty_cache()
    return found


def _has_bitsandbytes() -> bool:
    try:
        import_module("bitsandbytes")
    except ImportError:
        return False
    return True
