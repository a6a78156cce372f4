"""The kernel of a layer by name, unproved: in these tests the reference is the judge."""

from __future__ import annotations

import functools
from typing import Any

import derive
from derive import pipeline
from derive.certificates import Certificate


def kernel(name: str, **settings: Any) -> Any:
    """The module of ``derive.<name>(**settings)``."""
    return _kernel(name, tuple(sorted(settings.items())))


@functools.cache
def _kernel(name: str, settings: tuple[tuple[str, Any], ...]) -> Any:
    derivation = pipeline.derive(getattr(derive, name)(**dict(settings)))
    source = pipeline.kernel(derivation)
    return pipeline.module(pipeline.Made(derivation, source, Certificate(())))
