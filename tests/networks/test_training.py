"""One training step in numbers: every layer's values and gradients, by plain loops."""

from __future__ import annotations

import numpy as np
import pytest

import derive
from derive import training
from derive.trials import Trial

TEXT = "conv 2x2 > relu > flatten > dense 1 > half_squared_error"


@pytest.fixture(scope="module")
def trial() -> Trial:
    network = derive.derive(derive.network(TEXT, input=(3, 3)))
    found = training.trial(network, network.kernel())
    assert found is not None
    return found


def test_what_layers_give_and_get_is_what_loops_say(trial: Trial) -> None:
    (x, t), p = (dict(trial.given)[name] for name in "xt"), dict(trial.before)
    windows = {(i, j): x[i : i + 2, j : j + 2] for i in range(2) for j in range(2)}
    made = np.array([(w * p["conv1.w"]).sum() for w in windows.values()]).reshape(2, 2)
    values, slopes = dict(trial.values), dict(trial.slopes)
    assert values["conv1"] == pytest.approx(made)
    assert values["relu1"] == pytest.approx(made * (made > 0))
    y = values["relu1"].ravel() @ p["dense1.w"][0] + p["dense1.b"]
    assert values["dense1"] == pytest.approx(y)
    assert trial.losses[0] == pytest.approx(((y - t) ** 2).sum() / 2)
    assert slopes["dense1"] == pytest.approx(y - t)
    assert slopes["flatten1"] == pytest.approx((y - t) * p["dense1.w"][0])
    back = slopes["flatten1"].reshape(2, 2) * (made > 0)
    assert slopes["conv1"] == pytest.approx(back)
    dw = sum(back[place] * window for place, window in windows.items())
    assert dict(trial.gradients)["conv1.w"] == pytest.approx(dw)


def test_the_checked_weight_has_the_slope_of_the_loss(trial: Trial) -> None:
    check = trial.check
    assert check is not None
    assert check.derived == dict(trial.gradients)[check.of][check.place] != 0
    assert check.quotient == pytest.approx(check.derived, rel=1e-4)


def test_values_that_do_not_fit_a_page_are_left_out() -> None:
    network = derive.derive(derive.network("conv 2x2 > half_squared_error", input=(9, 9)))
    found = training.trial(network, network.kernel())
    assert found is not None
    assert found.values == found.slopes == ()
