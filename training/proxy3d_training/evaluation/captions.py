"""Caption metrics (BLEU, METEOR, ROUGE-L, CIDEr) as each benchmark code feeds them to the COCO caption evaluation.

The metrics themselves are pycocoevalcap's (the extra ``captions``); its tokenizer and METEOR run on Java. What differs
between the field's codes is what goes in: tokenised or not, cleaned or not, and what becomes of a badly placed box.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from proxy3d_core.errors import BadInput, MissingExtra
from proxy3d_training.evaluation.scorers import Result, TaskScore, chat_scene_prediction, clean_answer

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")


def require() -> None:
    """Check that captions can be scored here.

    Raises:
        MissingExtra: pycocoevalcap or Java is missing; the message says how to get it.
    """
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise MissingExtra("caption metrics need pycocoevalcap: pip install 'proxy3d-training[captions]'")
    if shutil.which("java") is None:
        raise MissingExtra(
            "caption metrics need Java (the tokenizer and METEOR run on it) and there is no `java` on the PATH: "
            "install a runtime, e.g. `sudo apt install default-jre-headless`"
        )


def _tokenized(captions: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokens: dict[str, list[str]] = PTBTokenizer().tokenize(
        {k: [{"caption": c} for c in v] for k, v in captions.items()}
    )
    return tokens


def coco_metrics(
    references: Mapping[str, Sequence[str]], candidates: Mapping[str, str], tokenize: bool, line_break: str = ""
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Corpus scores (0..100) by metric, and each caption's own (0..1) in the order of ``candidates``.

    Args:
        references: true captions by key.
        candidates: one caption by key; the keys are those of ``references``.
        tokenize: run the PTB tokenizer over both first (lower case, punctuation dropped).
        line_break: what METEOR, which reads a line per caption, gets for one; the tokenizer leaves none, LL3DA's copy
            drops them, LEO's makes them spaces.

    Raises:
        MissingExtra: see :func:`require`.
        BadInput: the keys differ, or there are none, or references are without words.
    """
    require()
    if not candidates or references.keys() != candidates.keys():
        raise BadInput("captions and references must have the same keys, at least one")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    gts: dict[str, Any] = {k: list(references[k]) for k in candidates}
    res: dict[str, Any] = {k: [v] for k, v in candidates.items()}
    # pycocoevalcap prints its statistics; standard output belongs to the caller.
    with contextlib.redirect_stdout(io.StringIO()):
        if tokenize:
            gts, res = _tokenized(gts), _tokenized({k: [v] for k, v in candidates.items()})
        # METEOR waits for ever where neither side has a word.
        empty = next((k for k, refs in gts.items() if not any(c.isalnum() for r in refs for c in r)), None)
        if empty is not None:
            raise BadInput(f"no reference of {empty!r} has a word in it, so captions cannot be scored; leave it out")
        one_line = [{k: [re.sub(r"[\r\n]", line_break, c) for c in v] for k, v in side.items()} for side in (gts, res)]
        corpus: list[float] = []
        each: list[Sequence[float]] = []
        for scorer in (Bleu(4), Meteor(), Rouge(), Cider()):
            score, scores = scorer.compute_score(*((gts, res) if not isinstance(scorer, Meteor) else one_line))
            several = isinstance(score, list)
            corpus += score if several else [score]
            each += scores if several else [scores]
    rows = [{m: float(column[i]) for m, column in zip(METRICS, each, strict=True)} for i in range(len(candidates))]
    return {m: float(s) * 100 for m, s in zip(METRICS, corpus, strict=True)}, rows


def _as_result(scorer: str, corpus: Mapping[str, float], rows: list[dict[str, float]]) -> Result:
    tasks = {name: TaskScore(score, len(rows)) for name, score in corpus.items()}
    return Result(scorer, tasks["CIDEr"].score, tasks, rows)


def short_answers(predictions: Sequence[str], references: Sequence[Sequence[str]], variant: str) -> Result:
    """Caption metrics on short answers (ScanQA, SQA3D); the headline is CIDEr.

    Args:
        variant: ``official`` (ScanQA's authors: tokenised, else as they are), ``chat-scene`` (prediction cleaned,
            references as they are, tokenised; for SQA3D clean the references before), ``leo`` (both cleaned, not
            tokenised) or ``ll3da`` (repeated spaces in the prediction dropped, not tokenised).
    """
    prepare: dict[str, tuple[Callable[[str], str], Callable[[str], str], bool]] = {
        "official": (str, str, True),
        "chat-scene": (chat_scene_prediction, lambda r: r.replace("\n", " ").strip(), True),
        "leo": (clean_answer, clean_answer, False),
        "ll3da": (lambda p: " ".join(filter(None, p.split(" "))), str, False),
    }
    if variant not in prepare:
        raise BadInput(f"unknown variant {variant!r}; known: {', '.join(prepare)}")
    of_prediction, of_reference, tokenize = prepare[variant]
    gts = {str(i): [of_reference(x) for x in refs] for i, refs in enumerate(references)}
    res = {str(i): of_prediction(p) for i, p in enumerate(predictions)}
    line_break = " " if variant == "leo" else ""
    return _as_result(f"captions-{variant}", *coco_metrics(gts, res, tokenize, line_break))


def scan2cap_chat_scene(captions: Mapping[str, tuple[str, float]], corpus: Mapping[str, Sequence[str]]) -> Result:
    """Scan2Cap as Chat-Scene: captions count where IoU >= 0.25 (0.5), else become "sos eos"; tokenised.

    Args:
        captions: by ``scene|object id``: the caption and the IoU of the box it was given for with the true box.
        corpus: by the same key: true captions, already wrapped in "sos ... eos"; objects without a caption count as
            "sos eos" too.
    """
    _check_known(captions, corpus)
    keys = [*captions, *sorted(corpus.keys() - captions.keys())]
    tasks: dict[str, float] = {}
    rows: list[dict[str, float]] = [{} for _ in keys]
    for threshold in ("0.25", "0.5"):
        kept = dict.fromkeys(keys, "sos eos")
        for key, (text, iou) in captions.items():
            if iou >= float(threshold):
                kept[key] = f"sos {text} eos".replace("\n", " ")
        scores, each = coco_metrics({key: corpus[key] for key in keys}, kept, tokenize=True)
        tasks |= {f"{m}@{threshold}": s for m, s in scores.items()}
        for row, one in zip(rows, each, strict=True):
            row.update({f"{m}@{threshold}": s for m, s in one.items()})
    scored = {name: TaskScore(score, len(keys)) for name, score in tasks.items()}
    return Result("scan2cap-chat-scene", tasks["CIDEr@0.5"], scored, rows[: len(captions)])


def ll3da_corpus(descriptions: Iterable[Mapping[str, Any]], max_tokens: int = 30) -> dict[str, list[str]]:
    """References from ScanRefer's rows as LL3DA makes them: the first 30 ``token`` of each, between "sos" and "eos"."""
    corpus: dict[str, list[str]] = {}
    for row in descriptions:
        key = f"{row['scene_id']}|{row['object_id']}|{row['object_name']}"
        corpus.setdefault(key, []).append(" ".join(["sos", *row["token"][:max_tokens], "eos"]))
    return corpus


def scan2cap_ll3da(
    captions: Iterable[tuple[str, str, float]], corpus: Mapping[str, Sequence[str]], threshold: float = 0.5
) -> Result:
    """Scan2Cap as LL3DA: of the boxes on an object with IoU > threshold (strictly), the best one's caption counts.

    Args:
        captions: (``scene|object id|object name``, caption, IoU) of every predicted box; boxes on objects that nobody
            described are left out.
        corpus: :func:`ll3da_corpus`; nothing is tokenised.
    """
    best: dict[str, tuple[float, str]] = {}
    for key, text, iou in captions:
        if key in corpus and iou > threshold and iou > best.get(key, (0.0, ""))[0]:
            best[key] = iou, f"sos {text} eos".replace("  ", " ")
    kept = {key: best[key][1] if key in best else "sos eos" for key in sorted(corpus) if not key.endswith("unknown")}
    scores, rows = coco_metrics({key: corpus[key] for key in kept}, kept, tokenize=False)
    scored = {f"{m}@{threshold:g}": TaskScore(s, len(kept)) for m, s in scores.items()}
    return Result("scan2cap-ll3da", scores["CIDEr"], scored, rows)


def _check_known(captions: Mapping[str, object], corpus: Mapping[str, object]) -> None:
    unknown = captions.keys() - corpus.keys()
    if unknown:
        raise BadInput(f"{len(unknown)} captions are for objects without references, e.g. {min(unknown)!r}")
