import pytest
import torch

from minerkit.errors import EncoderError, TrainingError
from minerkit.runtime.devices import device_note, native_half, search_device, training_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_clear_line():
    with pytest.raises(
        TrainingError, match="--device cuda: torch finds no such device here; use --device auto"
    ):
        training_device("cuda")
    assert training_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("found", "half"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"bf16": True}, "bfloat16"),
        ({"avx512_f": True}, None),
        ({}, None),
    ],
)
def test_a_cpu_is_asked_what_it_can(monkeypatch, found, half):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert native_half("cpu") == half
    assert native_half("meta") is None


@pytest.mark.parametrize(
    ("capability", "half"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_a_gpu_is_asked_what_it_can(monkeypatch, capability, half):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))
    assert native_half("cuda") == half


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert search_device("auto") == search_device("cpu") == "cpu"
    with pytest.raises(EncoderError, match="--device cuda: torch finds no such device"):
        search_device("cuda")


@pytest.mark.parametrize(
    ("cuda", "mps", "searches", "line"),
    [
        (False, False, "cpu", None),
        (True, False, "cuda", None),
        (True, False, "cpu", None),
        (False, True, "cpu", "Models run on mps, queries are searched on cpu: mps has no float64"),
    ],
)
def test_a_line_says_where_models_and_the_search_run_apart(monkeypatch, cuda, mps, searches, line):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device_note("auto", searches) == line
