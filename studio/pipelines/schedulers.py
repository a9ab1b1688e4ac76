"""Makes the scheduler a request names, with what the base's own scheduler knows of its noise."""

from dataclasses import dataclass, field
from typing import Any

import diffusers

from studio.pipelines.families import SCHEDULERS, Family

KEPT = (  # what belongs to the base and not to the solver
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "timestep_spacing",
    "steps_offset",
    "set_alpha_to_one",
    "shift",
    "use_dynamic_shifting",
    "base_shift",
    "max_shift",
    "base_image_seq_len",
    "max_image_seq_len",
    "time_shift_type",
    "shift_terminal",
)


@dataclass(frozen=True, kw_only=True)
class Solver:
    """A diffusers class by name, and what it is made with besides the base's own values."""

    name: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])


SOLVERS = {
    "dpmpp-2m": Solver(
        name="DPMSolverMultistepScheduler", options={"algorithm_type": "dpmsolver++", "solver_order": 2}
    ),
    "euler-a": Solver(name="EulerAncestralDiscreteScheduler"),
    # No clipping: it is meant for pixels, and latents leave -1 to 1.
    "ddim": Solver(name="DDIMScheduler", options={"clip_sample": False}),
    "unipc": Solver(name="UniPCMultistepScheduler"),
    "lcm": Solver(name="LCMScheduler", options={"clip_sample": False}),
    "flow-euler": Solver(name="FlowMatchEulerDiscreteScheduler"),
}
assert SOLVERS.keys() == SCHEDULERS.keys()


def make(name: str, family: Family, own: Any) -> Any:
    """The scheduler for one run; `own` is the configuration the base came with."""
    solver = SOLVERS[name]
    options = {key: own[key] for key in KEPT if key in own} | solver.options
    if uses_karras(name, family):
        options["use_karras_sigmas"] = True
    made_by = getattr(diffusers, solver.name)
    taken = made_by.__init__.__wrapped__ if hasattr(made_by.__init__, "__wrapped__") else made_by.__init__
    names = taken.__code__.co_varnames[: taken.__code__.co_argcount]
    return made_by(**{key: value for key, value in options.items() if key in names})


def uses_karras(name: str, family: Family) -> bool:
    """Whether the steps are spaced as Karras et al. have it (https://arxiv.org/abs/2206.00364, equation 5)."""
    return family.karras and name == "dpmpp-2m"
