"""One Hypothesis profile for the whole suite: the same draws in every run, no clocks."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "derive",
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("derive")
