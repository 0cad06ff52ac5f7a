import errno
import resource
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from minerkit.errors import TrainingError
from minerkit.recipe.recipe import Train
from minerkit.training.failures import explain_failures

ARGUMENTS = SimpleNamespace(per_device_train_batch_size=64, gradient_accumulation_steps=2)


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        (
            "bce",
            "set train.args.per_device_train_batch_size=32 and train.args.gradient_accumulation_steps=4",
        ),
        ("mnrl", "set train.loss=cached-mnrl and train.loss_args.mini_batch_size=16"),
        ("cached-mnrl", "set train.loss_args.mini_batch_size=8, or a lower train.max_length"),
    ],
)
def test_out_of_memory_is_reported_with_settings_that_need_less(loss, advice, tmp_path):
    train = Train(loss=loss, loss_args={"mini_batch_size": 16} if loss == "cached-mnrl" else {})
    with (
        pytest.raises(TrainingError, match="out of memory") as error,
        explain_failures(train, ARGUMENTS, tmp_path),
    ):
        torch.zeros(1 << 50)  # more memory than any machine has
    assert advice in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), MemoryError()])
def test_errors_of_a_gpu_and_of_python_count_as_out_of_memory(error, tmp_path):
    with pytest.raises(TrainingError, match="out of memory"), explain_failures(Train(), ARGUMENTS, tmp_path):
        raise error


@pytest.fixture
def small_files():
    """No file grows beyond 100 kB, as on a disk that is full."""
    ignored, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: torch.save(torch.zeros(100_000), path),
        lambda path: save_file({"weights": torch.zeros(100_000)}, path),
        lambda path: path.write_bytes(bytes(200_000)),
    ],
)
def test_a_full_disk_is_reported_in_one_line(write, tmp_path, small_files):
    with (
        pytest.raises(TrainingError) as error,
        explain_failures(Train(), ARGUMENTS, tmp_path / "checkpoints"),
    ):
        write(tmp_path / "file")
    assert str(error.value) == (
        f"{tmp_path}/checkpoints: cannot write a checkpoint, the disk or a quota is full; free some space, "
        "then the same command trains from the start, for no checkpoint was due yet"
    )


def test_an_interruption_names_the_checkpoint_to_resume_from(tmp_path):
    (tmp_path / "checkpoint-20").mkdir()
    (tmp_path / "checkpoint-20/whole.json").write_text("{}")
    with (
        pytest.raises(KeyboardInterrupt, match="goes on from checkpoint-20"),
        explain_failures(Train(), ARGUMENTS, tmp_path),
    ):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), OSError(errno.EPIPE, "x"), KeyError("x")]
)
def test_other_errors_are_not_changed(error, tmp_path):
    with pytest.raises(type(error)) as raised, explain_failures(Train(), ARGUMENTS, tmp_path):
        raise error
    assert raised.value is error
