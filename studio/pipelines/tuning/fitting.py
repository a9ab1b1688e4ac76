"""Fits a training to the memory that is free: whether it is begun, what has to leave, what is computed anew."""

from importlib import import_module
from typing import Any

import torch

from studio.pipelines import loading
from studio.pipelines.device import Device
from studio.pipelines.tuning import lora, memory
from studio.pipelines.tuning.plan import Plan
from studio.pipelines.tuning.recipe import TuneRecipe


def check(device: Device, plan: Plan) -> None:
    """Refuses what cannot fit however it is cut, before anything of it is loaded. Raises OutOfMemory with figures."""
    base, denoiser = plan.base, plan.base.family.denoiser
    whole = loading.size_of(base, device.precision)
    staying = 0 if base.single else loading.size_of(base, device.precision, denoiser)
    _cut(device, plan, base=whole, staying=staying, weights=0, free=device.memory()[0])


def fitted(device: Device, pipeline: Any, plan: Plan, recipe: TuneRecipe) -> memory.MemoryPlan:
    """Cuts a training that is loaded to the memory there is, and readies the networks for it. Raises OutOfMemory."""
    networks = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    sizes = {
        name: sum(one.numel() * one.element_size() for one in part.parameters()) for name, part in networks.items()
    }
    staying = {plan.base.family.denoiser, *recipe.parts}
    found = _cut(
        device,
        plan,
        base=sum(sizes.values()),
        staying=sum(sizes[name] for name in staying),
        weights=sum(one.numel() for part in recipe.parts.values() for one in lora.trained(part)),
        free=device.memory()[0] + sum(sizes.values()),
    )
    for name, network in networks.items():
        if name not in staying:
            network.to("cpu")
    if found.checkpointing:
        networks[plan.base.family.denoiser].enable_gradient_checkpointing()  # type: ignore[operator]
    device.empty_cache()
    return found


def _cut(device: Device, plan: Plan, *, base: int, staying: int, weights: int, free: int) -> memory.MemoryPlan:
    load = memory.Load(
        base=base,
        staying=staying,
        weights=weights,
        pixels=plan.base.family.native**2,
        wide=device.precision.networks == torch.float32,
    )
    return memory.plan(
        plan.training,
        load,
        free=free,
        free_ram=device.machine_memory(),
        own_memory=device.torch.type == "cuda",
        eight_bit=device.torch.type == "cuda" and _has_bitsandbytes(),
        figures=device.figures(),
    )


def _has_bitsandbytes() -> bool:
    try:
        import_module("bitsandbytes")
    except ImportError:
        return False
    return True
