"""What is warm on the device, and how a deleted tune leaves it."""

from pathlib import Path

from studio.pipelines import Runners
from studio.pipelines.bases import Bases
from studio.settings import Settings


def test_a_tune_that_is_forgotten_is_warm_in_no_base_and_at_no_strength(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, device="cpu")
    runners = Runners(settings, Bases.of(settings, {}))
    runners.forget("ada")  # nothing was loaded yet
    keys = ("tune:ada:1:base:starter", "tune:ada:0.5:base:other", "tune:adam:1:base:starter", "base:starter")
    for key in keys:
        runners.device.held(key, 1, object)
    runners.forget("ada")
    assert [key for key in keys if runners.device.is_warm(key)] == list(keys[2:])
