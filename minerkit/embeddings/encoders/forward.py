"""A sentence-transformers model fed with batches of tokens, on all cores of a CPU or all GPUs.

Texts are tokenised while earlier ones are encoded, sorted by tokens, and cut into batches of so many tokens,
padding included. What shares a batch depends on the texts alone, and on a CPU a batch is one thread's work:
the same texts give the same vectors with any number of threads.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.embeddings.batching import padded_batches, split_runs
from minerkit.errors import EncoderError

__all__ = ["Forward"]

IntArray = npt.NDArray[np.int64]
#: Texts, and bytes of text, that are tokenised at a time: enough to fill batches with texts of one length.
CHUNK, CHUNK_BYTES = 4096, 512 << 10
#: Tokens a batch, padding included: on a CPU what stays in a core's caches, elsewhere what keeps a GPU busy.
CPU_BUDGET, BUDGET = 2048, 32768


class Forward:
    """A model and the devices it runs on."""

    def __init__(self, model: Any, precision: str, devices: Sequence[str] = ()) -> None:
        """Make a replica of the model for every further device.

        Args:
            model: A SentenceTransformer on its device.
            precision: What its matrix products are computed in: float32, bfloat16 or float16.
            devices: Further torch devices.
        """
        self._model = model.eval()
        self._precision = precision
        self._budget = CPU_BUDGET if model.device.type == "cpu" else BUDGET
        self._replicas = [model, *(copy.deepcopy(model).to(device) for device in devices)]

    def __call__(
        self, texts: Sequence[str], prompt: str, task: str, progress: Callable[[int], object] = id
    ) -> npt.NDArray[np.float32]:
        """Encode texts.

        Args:
            texts: n strings, n at least 1.
            prompt: What is put before each.
            task: query or document, for models that encode them in different ways.
            progress: Called with the number of texts done, each time some are.

        Returns:
            float32 of shape (n, dim), as the model's last module gives them.

        Raises:
            EncoderError: A single text is too large for the device's memory.
        """
        lengths = np.array([len(text.encode()) for text in texts], np.int64)
        order = np.argsort(-lengths, kind="stable")
        waiting = []
        with self._pool() as pool:
            for piece in split_runs(lengths[order], CHUNK, CHUNK_BYTES):
                chunk = order[piece]
                features = self._model.preprocess([texts[i] for i in chunk], prompt=prompt or None, task=task)
                for rows in self._batches(features, len(chunk)):
                    waiting.append((chunk[rows], pool(features, rows, task)))
            found = np.empty((0, 0), np.float32)
            for places, batch in waiting:
                part = batch.result()
                if not found.size:
                    found = np.empty((len(texts), part.shape[1]), np.float32)
                found[places] = part
                progress(len(places))
        return found

    def _batches(self, features: dict[str, Any], count: int) -> list[IntArray]:
        """Share a chunk's texts out to batches, the most tokens first."""
        mask = features.get("attention_mask")
        if mask is None:  # without a mask there is no padding, and the chunk is a batch
            return [np.arange(count)]
        lengths = mask.sum(1).numpy()
        order = np.argsort(-lengths, kind="stable")
        return [order[cut] for cut in padded_batches(lengths[order], self._budget)]

    @contextmanager
    def _pool(self) -> Iterator[Callable[..., Any]]:
        """Open a pool with a thread for every replica, or for every core of a CPU; give what fills it."""
        import torch

        threads = torch.get_num_threads()
        alone = len(self._replicas) == 1 and self._model.device.type == "cpu"
        free: SimpleQueue[Any] = SimpleQueue()
        for replica in self._replicas * (threads if alone else 1):
            free.put(replica)

        def work(features: dict[str, Any], rows: IntArray, task: str) -> npt.NDArray[np.float32]:
            model = free.get()
            try:
                half = getattr(torch, self._precision)
                with (
                    torch.inference_mode(),
                    torch.autocast(model.device.type, half, enabled=half != torch.float32),
                ):
                    return np.asarray(self._encoded(model, features, rows, task).cpu())
            finally:
                free.put(model)

        # Threads that each have a batch of their own need not wait for each other within it.
        start = (lambda: torch.set_num_threads(1)) if self._model.device.type == "cpu" else (lambda: None)
        pool = ThreadPoolExecutor(free.qsize(), initializer=start)
        try:
            yield lambda *batch: pool.submit(work, *batch)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # in part it holds for the whole process

    def _encoded(self, model: Any, features: dict[str, Any], rows: IntArray, task: str) -> Any:
        import torch

        try:
            batch = {
                name: value.to(model.device) if torch.is_tensor(value) else value
                for name, value in _picked(features, rows).items()
            }
            return model(batch, task=task)["sentence_embedding"].float()
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise EncoderError(
                    "the encoder has no memory for one text on this device; set encoder.max_length lower, or "
                    "use --device cpu"
                ) from None
        self._budget = max(1, self._budget // 2)
        float16_bits = (rows[: len(rows) // 2], rows[len(rows) // 2 :])
        return torch.cat([self._encoded(model, features, half, task) for half in float16_bits])


def _picked(features: dict[str, Any], rows: IntArray) -> dict[str, Any]:
    """Take some texts of a chunk, padded to the longest of them."""
    mask = features.get("attention_mask")
    if mask is None:
        return features
    used = mask[rows].any(0)
    return {
        name: value[rows][:, used] if getattr(value, "shape", None) == mask.shape else value
        for name, value in features.items()
    }
