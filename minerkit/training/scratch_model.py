"""Create the base model `scratch` from the run's own text: a small BERT with a WordPiece tokenizer."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from minerkit.runtime import Family, cache_folder
from minerkit.storage import atomic_folder

__all__ = ["scratch_folder"]

LAYERS, WIDTH, HEADS, MAX_LENGTH, VOCABULARY_SIZE = 2, 128, 1, 256, 30_000
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
#: Value of the segment coordinate: +SEGMENT in the first text of a pair, -SEGMENT in the second.
SEGMENT = 3.0
#: Attention scores before the softmax, as `_initialise_token_matching` sets them: for equal tokens, for
#: tokens of the other text, and in the second layer for tokens of the first text. With a larger FIRST_TEXT
#: the untrained model already ranks by (or against) shared words; with a smaller one it learns slowly.
EQUAL_TOKEN, OTHER_TEXT, FIRST_TEXT = 20.0, 4.0, 1.5
#: All settings of the model, part of the cache key.
VERSION = (
    f"1 {LAYERS} {WIDTH} {HEADS} {MAX_LENGTH} {VOCABULARY_SIZE} "
    f"{SEGMENT} {EQUAL_TOKEN} {OTHER_TEXT} {FIRST_TEXT}"
)


def scratch_folder(texts: pl.Series, family: Family, seed: int) -> Path:
    """Create a small untrained BERT, unless the cache holds it.

    Args:
        texts: The texts that the tokenizer is trained on, without those that only the dev split holds.
        family: cross_encoder or sentence_transformer.
        seed: Seed of the weights; the tokenizer does not depend on it.

    Returns:
        The folder of a CrossEncoder, or of a SentenceTransformer with mean pooling.
    """
    digest = hashlib.blake2b(f"{VERSION} {family} {seed}".encode(), digest_size=16)
    for text in texts:
        digest.update(text.encode() + b"\0")
    folder = cache_folder() / "models" / f"scratch-{digest.hexdigest()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with atomic_folder(folder) as unfinished:
                _save_model(_train_tokenizer(texts), family, seed, unfinished)
    return folder


def _save_model(tokenizer: Any, family: Family, seed: int, folder: Path) -> None:
    """Initialise the weights, and save them with the tokenizer."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=LAYERS,
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        num_labels=1,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,  # dropout suits long training; here it would blur the matching
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if family == "cross_encoder":
            model = BertForSequenceClassification(config)
            _initialise_token_matching(model)
        else:
            model = BertModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if family == "sentence_transformer":
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        transformer = Transformer(str(folder))
        bi_encoder = SentenceTransformer(modules=[transformer, Pooling(WIDTH, "mean")], device="cpu")
        shutil.rmtree(folder)
        bi_encoder.save_pretrained(str(folder), create_model_card=False)


def _initialise_token_matching(model: Any) -> None:
    """Initialise a BERT so that attention compares each token with the equal tokens of the other text.

    A few thousand rows do not teach a cross-encoder with random weights to compare its two texts. So the
    first layer starts as a matcher of equal tokens: it sets a flag on each token that the other text has too.
    The second layer starts as the share of flagged tokens in the first text. Training learns which words
    matter, and whether shared words speak for a pair or against it.

    Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers" (ICML 2023, arXiv:2305.09828), show
    that attention needs less data if it starts with the patterns of trained attention. They start W_Q W_K^T
    near a multiple of the identity, as here, and W_V W_O near a negative multiple; here the values of the
    first layer carry the flag alone.

    Args:
        model: A BertForSequenceClassification of two layers with one attention head each, changed in place.
    """
    import torch

    # Words leave the last two coordinates free: the segment (which text a token is in), and the match flag.
    segment, flag = WIDTH - 2, WIDTH - 1
    word_projection = torch.eye(WIDTH)
    word_projection[[segment, flag]] = 0
    inputs, (first, second) = model.bert.embeddings, model.bert.encoder.layer
    with torch.no_grad():
        # Word embeddings outweigh position embeddings: a token's vector depends little on its position.
        inputs.word_embeddings.weight.normal_().mul_(word_projection.sum(0))
        inputs.position_embeddings.weight.mul_(word_projection.sum(0))
        inputs.token_type_embeddings.weight.zero_()[:, segment] = torch.tensor([SEGMENT, -SEGMENT])

        # A token attends to the equal token of the other text (score EQUAL_TOKEN + OTHER_TEXT), and without
        # one to itself (EQUAL_TOKEN - OTHER_TEXT).
        matcher = first.attention.self
        scale = WIDTH**0.5  # attention divides by it
        matcher.query.weight += word_projection * (EQUAL_TOKEN * scale / WIDTH) ** 0.5
        matcher.key.weight += word_projection * (EQUAL_TOKEN * scale / WIDTH) ** 0.5
        matcher.query.weight[segment, segment] = -((OTHER_TEXT * scale) ** 0.5) / SEGMENT
        matcher.key.weight[segment, segment] = (OTHER_TEXT * scale) ** 0.5 / SEGMENT
        matcher.value.weight[segment, segment] = 1
        first.attention.output.dense.weight[flag, segment] = -1

        # Every token, including [CLS], averages over the first text: its mean flag is the share of matches.
        average = second.attention.self
        average.query.bias[segment] = FIRST_TEXT * scale / SEGMENT
        average.key.weight[segment, segment] = 1
        average.value.weight += torch.eye(WIDTH)
        second.attention.output.dense.weight += torch.eye(WIDTH)

        # The head has larger weights than usual, to learn within some hundred steps. It starts with no weight
        # on the flag: a random weight, positive or negative, would rank by matches before any training.
        model.classifier.weight.normal_(std=WIDTH**-0.5)
        model.bert.pooler.dense.weight.normal_(std=WIDTH**-0.5)[:, flag] = 0


def _train_tokenizer(texts: pl.Series) -> Any:
    """Train a WordPiece tokenizer; the same texts give the same tokenizer in every process."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def word_piece(vocabulary: dict[str, int]) -> Any:
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True)]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    untrained = word_piece({})
    # The trainer numbers the characters inside words (##a, ##b, ...) in the order of a hash map, which
    # differs between processes, and breaks ties between merges by these numbers. As special tokens they get
    # their numbers from the sorted list; the final tokenizer takes the vocabulary alone.
    split_words = untrained.pre_tokenizer.pre_tokenize_str
    words = {word for text in texts for word, _ in split_words(untrained.normalizer.normalize_str(text))}
    inner = [f"##{character}" for character in sorted({c for word in words for c in word[1:]})]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY_SIZE,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS + inner,
        show_progress=False,
    )
    untrained.train_from_iterator(texts.to_list(), trainer)
    tokenizer = word_piece(untrained.get_vocab())
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{token[1:-1].lower()}_token": token for token in SPECIAL_TOKENS},
    )
