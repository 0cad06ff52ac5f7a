"""Any sentence-transformers model, by Hub name or folder."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.embeddings.encoders.forward import Forward
from minerkit.embeddings.encoders.precision import choose_precision
from minerkit.errors import EncoderError
from minerkit.recipe import Encoder as EncoderSection

__all__ = ["SentenceTransformerEncoder"]


class SentenceTransformerEncoder:
    """Encodes with a sentence-transformers model, with its query and document prompts."""

    def __init__(self, spec: EncoderSection, device: str = "auto", note: str = "") -> None:
        """Load the model.

        Args:
            spec: The recipe's `encoder` section.
            device: auto, cpu, cuda or mps.
            note: What a reader of the manifest must know about the scores.

        Raises:
            EncoderError: The model cannot be loaded, or the device is not there.
        """
        self.note = note
        self._spec = spec
        self.dtype: str = spec.dtype
        self._model = _load(spec, device)
        if spec.max_length is not None:
            try:
                self._model.max_seq_length = spec.max_length
            except AttributeError as error:
                raise EncoderError(
                    f"encoder.max_length: {spec.model} takes texts of any length; leave it out"
                ) from error
        self._weights = _weights_hash(self._model)
        self._precision = choose_precision(self._model)
        self._forward = Forward(self._model, self._precision, _further_devices(self._model))

    def fingerprint(self, kind: str) -> str:
        """Identify the vectors: weights, modules, limits, precision, and the kind's prompt."""
        spec = self._spec
        facts = (
            self._weights,
            spec.revision,
            str(self._model),
            getattr(self._model, "max_seq_length", None),
            spec.truncate_dim,
            spec.normalize,
            self._prompt(kind),
            self._precision,
            spec.dtype,
        )
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()

    def encode(
        self, texts: Sequence[str], kind: str, progress: Callable[[int], object] = id
    ) -> npt.NDArray[np.float32]:
        """Encode texts with the kind's prompt."""
        rows = self._forward(texts, self._prompt(kind), kind, progress)[:, : self._spec.truncate_dim]
        if self._spec.normalize:
            rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return rows

    def _prompt(self, kind: str) -> str:
        given = self._spec.query_prompt if kind == "query" else self._spec.document_prompt
        if given is not None:
            return given
        prompts = self._model.prompts or {}
        names = ["query"] if kind == "query" else ["document", "passage", "corpus"]
        own = next((prompts[name] for name in names if prompts.get(name)), None)
        return own or prompts.get(self._model.default_prompt_name or "", "") or ""


def _load(spec: EncoderSection, device: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # minerkit shows its own
    folder = Path(spec.model).expanduser()
    local = folder.is_dir()
    if not local and spec.model.startswith((".", "/", "~")):
        raise EncoderError(f"encoder.model: no folder {spec.model}")
    if local and spec.revision is not None:
        raise EncoderError(f"encoder.revision: {spec.model} is a folder and has none; leave it out")
    try:
        return SentenceTransformer(
            str(folder) if local else spec.model,
            revision=None if local else spec.revision,
            device=None if device == "auto" else device,
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "" if local else "; with no network, name a model folder, or encoder.model=static or lsa"
        raise EncoderError(f"encoder.model={spec.model} cannot be loaded: {first}{hint}") from error


def _further_devices(model: Any) -> list[str]:
    import torch

    return [f"cuda:{i}" for i in range(1, torch.cuda.device_count())] if model.device.type == "cuda" else []


def _weights_hash(model: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        if values.numel():
            import torch

            digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
