"""Caption metrics against numbers that the named implementations gave for the same captions (see test_eval_scorers)."""

from __future__ import annotations

import pytest

from eval_cases import answer_caption_cases, caption_cases
from proxy3d_core.errors import BadInput, MissingExtra
from proxy3d_training.evaluation import captions


@pytest.fixture
def coco() -> None:
    """Skips where captions cannot be scored."""
    try:
        captions.require()
    except MissingExtra as error:
        pytest.skip(str(error))


def _scores(result: captions.Result) -> dict[str, float]:
    return {name: task.score for name, task in result.tasks.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("coco")
def test_short_answers_as_scanqa_and_chat_scene_score_them() -> None:
    predictions, references = answer_caption_cases(2, 120)
    assert _scores(captions.short_answers(predictions, references, "official")) == {
        "BLEU-1": 62.745447980722744,
        "BLEU-2": 63.475070733779916,
        "BLEU-3": 63.33161164795542,
        "BLEU-4": 65.44998875222015,
        "METEOR": 41.162190912693234,
        "ROUGE-L": 61.4243664908887,
        "CIDEr": 220.26762023049926,
    }
    assert _scores(captions.short_answers(predictions, references, "chat-scene")) == {
        "BLEU-1": 40.58812864494728,
        "BLEU-2": 34.16741608242758,
        "BLEU-3": 29.0160496576719,
        "BLEU-4": 26.39868305193514,
        "METEOR": 24.264704195792714,
        "ROUGE-L": 40.43657905086281,
        "CIDEr": 102.11117892847537,
    }


@pytest.mark.slow
@pytest.mark.usefixtures("coco")
def test_scan2cap_as_chat_scene_scores_it() -> None:
    corpus, given = caption_cases(3, 20)
    result = captions.scan2cap_chat_scene(given, corpus)
    # Two objects have no caption, some boxes are too far off: they count as "sos eos" and still earn a little.
    expected = {
        "BLEU-1@0.25": 18.036706711667435,
        "BLEU-2@0.25": 15.701742612572511,
        "BLEU-3@0.25": 15.665787774180618,
        "BLEU-4@0.25": 15.92927638014357,
        "METEOR@0.25": 20.029524373664216,
        "ROUGE-L@0.25": 42.37828532791935,
        "CIDEr@0.25": 200.12088993645435,
        "BLEU-1@0.5": 8.862142717028112,
        "BLEU-2@0.5": 7.449060547632086,
        "BLEU-3@0.5": 7.5338095271664445,
        "BLEU-4@0.5": 7.690115561683111,
        "METEOR@0.5": 16.09682668918498,
        "ROUGE-L@0.5": 38.554008757405725,
        "CIDEr@0.5": 150.11851612236745,
    }
    # The order of the missing objects differs from run to run in the original, and with it the last digit of the means.
    assert _scores(result) == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("coco")
def test_scan2cap_as_ll3da_scores_it() -> None:
    corpus, given = caption_cases(3, 20)
    named = {f"{key}|chair": texts for key, texts in corpus.items()}
    result = captions.scan2cap_ll3da([(f"{key}|chair", *pair) for key, pair in given.items()], named)
    # A box at exactly 0.5 does not count here.
    assert result.tasks["BLEU-4@0.5"].score == 5.338925282910716
    assert result.tasks["CIDEr@0.5"].score == 100.08733706487958
    assert result.tasks["ROUGE-L@0.5"].score == 33.38182988593431
    assert result.tasks["METEOR@0.5"].score == 14.77765646703612


def test_ll3da_cuts_references_to_thirty_tokens() -> None:
    row = {"scene_id": "s", "object_id": "1", "object_name": "chair", "token": ["x"] * 40}
    assert captions.ll3da_corpus([row, row]) == {"s|1|chair": [" ".join(["sos", *["x"] * 30, "eos"])] * 2}


def test_missing_java_or_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtra, match=r"pip install|install a runtime"):
        captions.require()


def test_captions_of_unknown_objects_are_refused() -> None:
    with pytest.raises(BadInput, match="without references"):
        captions.scan2cap_chat_scene({"s|9": ("a chair", 1.0)}, {"s|1": ["sos a chair eos"]})


@pytest.mark.usefixtures("coco")
def test_references_without_words_are_refused() -> None:
    with pytest.raises(BadInput, match="has a word in it"):
        captions.short_answers(["."], [["."]], "ll3da")
