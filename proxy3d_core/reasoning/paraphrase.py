"""Plainer wordings of a sentence that no rule reads as it stands: tags and asides dropped, what a pronoun stands for put
in its place, the topic put back where it belongs.

Each step is a family of wordings, not a question: "the lamp by the bed, what colour is it?" becomes "what colour is the
lamp by the bed?".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy3d_core.reasoning.lexicon import word_set
from proxy3d_core.reasoning.parts import Text
from proxy3d_core.reasoning.program import Me
from proxy3d_core.reasoning.spelling import is_known

Words = tuple[str, ...]

_MOST_VARIANTS = 24
"""So many wordings of one sentence are tried."""

_BE = "(?:is|are|was|were|'s)"
_TAG = (
    "no|right|correct|yes|yeah|eh|huh|true|true or false|yes or no|or not|or what|agreed|okay|is that right|is that correct|am i right|"
    "(?:is|are|was|were|does|do|did|has|have|can|could|will|would)(?: not)? (?:it|they|there|that|you|i|we|not)(?: not)?|not"
)
_WHICH = "(?:which|what) (?:one|ones|is it|are they|is that|id|object|number|of them)|which|what is it|which one is (?:it|that)|who is it"
_POINT = (
    "(?:please )?(?:highlight|show|mark|point|select|find|locate|identify|name|pick|point out|point at|point to|circle|tag|take)"
    "(?: me| to| at| out)?(?: it| that| that one| this one| them| this| the one)(?: out)?"
)
_ASIDE = (
    "at all|all told|in sum|combined|if anything|if so|if there (?:is|are)(?: one| any)?|of any (?:kind|sort)|whatsoever|if (?:any|possible|you can|you know|you do not mind|you would|known|there is one)|"
    "(?:where|which|that) (?:i|we|you|they|he|she) (?:had )?(?:left|dropped|put|placed|saw|parked|bought|mentioned|lost) (?:it|them|there|before)|"
    "(?:where|that) (?:i|we|you) (?:left|dropped|put|placed|saw)|or so|or thereabouts|more or less|give or take|ballpark|rough guess|to be (?:precise|exact|sure)|"
    "by eye|with a (?:tape|ruler|tape measure|measuring tape)|(?:nearest|closest) (?:edges|points|sides|faces)|edge to edge|wall to wall|side to side|"
    "(?:all )?in all|as of (?:now|today)|from what you (?:see|saw|know|can see)|if memory serves|directions|quick|quickly|roughly speaking|"
    "in (?:your|my) (?:view|opinion|memory|head)|according to (?:you|your map|the map)|as you (?:see|know|remember) it|for sure|by now|"
    "choose|pick one|pick|choose one|select one|answer|your answer|anything|any|straight line|line of sight|on your map|in reality|"
    "i (?:think|guess|believe|suppose|mean|ask|wonder|forgot|forget|need it|cannot find it|can not find it|can not see it|can not remember)|"
    "(?:just )?(?:a )?(?:ballpark|estimate|number|figure|yes or no)(?: is fine| will do| please)?|"
    "thanks(?: a lot)?|cheers|ta|love|dear|darling|honey|bud|bro|dude|man|pal|mate|sir|madam|boss|robot|robbie|bot|little one|friend|folks|guys"
)

_BY_THE_WAY = (
    "with a (?:tape|ruler|tape measure|measuring tape|laser)|by eye|at all|whatsoever|more or less|or so|you know|you see|i mean|let us say|"
    "if any|if you can|in your opinion|in your view|say|like"
)
_CORRECTION = "(?:no|sorry|wait|er|erm|uh|no wait|no sorry|oh)?(?: ,)? ?(?:i mean|i meant|rather|or rather|make that|scratch that|correction|i wanted to say)(?: ,)?"
_REWRITES: tuple[tuple[re.Pattern[str], str, float], ...] = tuple(
    (re.compile(pattern), plainer, certainty)
    for pattern, plainer, certainty in (
        # -- asides and tags
        (r"^(.+?) (is|are) not (.+?) , (?:is|are) (?:it|they)$", r"\2 \1 \3", 0.95),
        (rf"^(?:{_ASIDE}|so|well|ok|right|wait|hmm|ah|oh|look|see|alright|anyway|anyhow|honestly|seriously|man) , (.+)$", r"\1", 1.0),
        (rf"^(.+?) ,? ?(?:{_ASIDE})$", r"\1", 1.0),
        (rf"^(.+?) , (?:{_ASIDE}) , (.+)$", r"\1 , \2", 1.0),
        (rf"^(.+?) (?:{_BY_THE_WAY}) (.+)$", r"\1 \2", 0.95),
        (r"^(.+?) , (?:the |a )?[a-z]+ (?:included|excluded|not counted|counted|aside|too|as well)$", r"\1", 0.8),
        (rf"^(.+?) , (?:and )?(?:{_TAG})$", r"\1", 0.95),
        (rf"^(there {_BE} .+?) {_BE}(?: not)? there(?: not)?$", r"\1", 0.95),
        (rf"^(.+? {_BE} .+?) {_BE}(?: not)? (?:it|they)(?: not)?$", r"\1", 0.9),
        # -- the wanted one
        (rf"^(.+?) ,? ?(?:{_WHICH}|{_POINT})$", r"which is \1", 0.95),
        (r"^(?:i mean|i am talking about|i am asking about|i refer to|regarding|concerning|as for|speaking of|about|talking about|of) (.+?) , (.+)$", r"\1 , \2", 0.95),
        (r"^(?:any chance|is there any chance|is there a chance|by chance|do you have any idea|have you any idea|have you|did you) (?:that )?(?:you )?(?:know|knew|noticed|notice|saw|remember|recall|measured|counted|figured out|noted) ((?:how|where|which|what|whether|if|when) .+)$", r"\1", 0.95),
        (r"^how (big|large|small|long|wide|tall|high|deep) (?:of )?an? (.+?) is (?:this|it|that|here)$", r"how \1 is the \2", 0.95),
        (r"^(.+?) (?:when|if|as) (?:i|you) (?:look|looked|am looking|are looking|gaze) (?:straight |directly )?(?:ahead|forward)$", r"\1 in front of me", 0.95),
        (r"^(.+? (?:left|right)) of (someone|somebody|a person|anyone) (.+)$", r"\1 for \2 \3", 0.95),
        # -- clefts
        (r"^(?:can|could|would|will) you (?!bring|take|get|fetch|turn|switch|clean|pick|carry|put|move|push|hold)(.+)$", r"\1", 0.95),
        (r"^(.*area of )the (?:table top|top|surface|top surface) of (the .+)$", r"\1\2", 0.95),
        (r"^(.*)the (?:center|middle|surface|bottom|edge|bottom edge|lower edge) of (the .+)$", r"\1\2", 0.9),
        (r"^(what|where|how [a-z]+) (?:would|will|might|could) (.+) be$", r"\1 is \2", 1.0),
        (r"^if (?:you|i) (?:had to|have to|must|should) (?:pick|choose|name|select) (.+?) , (?:which|what)(?: one)? (?:is it|would it be|would that be|is that)$", r"which is \1", 0.95),
        (r"^(?:from|in relation to|relative to|as seen from|seen from|with respect to) (?:where (?:i|you) (?:stand|sit|am|are)|me|you|here|my (?:position|place|seat|spot)|your (?:position|place|spot)) ?,? (.+)$", r"\1", 1.0),
        (r"^(.+? [a-z]+er than .+?) or [a-z]+er$", r"\1", 1.0),
        (r"^compare (.+)$", r"\1", 0.95),
        (r"^(.+?) , (?:the )?number of$", r"how many \1", 0.95),
        (r"^(is|was) it (.+?) (?:that|which|who) (?:is|was|stands|lies|sits|hangs) (.+)$", r"\1 \2 \3", 0.95),
        (r"^(besides|other than|apart from|except for|except|aside from|not counting) (.+?) , (what .+)$", r"\3 \1 \2", 1.0),
        (r"^there (is|are) (.+)$", r"\1 there \2", 0.95),
        (r"^(?:can |could |would |will )?(?:you |u )?(?:please )?(?:give|tell|show|get|let|offer) me (?:a |an |some |the )?(?:rough |quick |good |general )?(?:idea|estimate|hint|clue|sense|guess|figure|indication) (?:of|about|as to|for|on) (.+)$", r"\1", 0.95),
        (r"^(?:a |an |some )?(?:rough |quick )?(?:idea|estimate|hint|clue|sense|guess|figure) (?:of|about|as to|for|on) (.+)$", r"\1", 0.95),
        (r"^(?:would|am|was|were) i (?:be )?(?:right|correct|wrong|mistaken) (?:in thinking|in saying|in assuming|to think|to say|to assume|to believe|if i say|if i said|thinking|assuming|that)(?: that)? (.+)$", r"\1", 0.95),
        (r"^(is|are|was|were|do|does|did|can|could|has|have|will|would) not (.+)$", r"\1 \2", 0.95),
        (rf"^(.*?)\b(?:the|a|an|my) \w+(?: \w+)? , {_CORRECTION} (?:the |a |an |my )?(\w+)(.*)$", r"\1the \2\3", 0.9),
        (rf"^(how many|count(?: the)?|where (?:is|are)(?: the)?|is there an?|are there any|number of) \w+(.*?) , {_CORRECTION} (?:the |a |an |my |any )?(.+)$", r"\1 \3\2", 0.9),
        (r"^(.+?) (?:would|will|might|may|could|should|must) be (.+)$", r"\1 is \2", 1.0),
        (r"^(.+?) (?:would|will|might|may|could|should|must) have (.+)$", r"\1 has \2", 1.0),
        (r"^(.+?) (?:seem|seems|appear|appears|look|looks|happen|happens|turn out|turns out|tend|tends) to be (.+)$", r"\1 is \2", 0.95),
        (rf"^(what|which|where|who|how) {_BE} it that (.+)$", r"\1 \2", 0.95),
        (rf"^{_BE} it (?:true|right|correct|the case|so|possible|a fact)(?: to say)?(?: that)? (.+)$", r"\1", 0.95),
        (r"^(?:true or false|yes or no|right or wrong|fact check|check|verify|confirm|check this)(?: ,| that| if| whether)? (.+)$", r"\1", 0.95),
        (r"^(.+?) , (?:true or false|yes or no|right or wrong|correct or not|can you confirm|please confirm)$", r"\1", 0.95),
        (r"^(?:i|we) (?:think|guess|believe|suppose|bet|assume|reckon|suspect|would say|take it|hope)(?: that)? (.+)$", r"\1", 0.9),
        (r"^(?:if|whether) (.+)$", r"\1", 0.9),
        (rf"^(?:there {_BE}|i (?:see|have|saw)|you (?:see|have)|we have) (.+?) , (.+)$", r"\1 , \2", 0.9),
        # -- quantities and names in the manner of a form
        (r"^(?:inventory|count|tally|headcount|number|quantity|total|how many) , (.+?)(?: , (?:quantity|count|number|how many|total))?$", r"how many \1", 0.9),
        (r"^(.+?) , (?:quantity|count|number|how many|how many of them|total|amount|tally)$", r"how many \1", 0.95),
        (r"^(color|size|height|width|location|position|direction|length|depth|volume|area) (?:check )?, (.+)$", r"what is the \1 of \2", 0.9),
        (r"^(?:task|query|request|job|mission|next|first|second|also|and|plus|another one|one more|last one|last question|follow up) , (.+)$", r"\1", 1.0),
        (r"^(.+?) (?:is|are|equals|would be|comes to|amounts to|is equal to|measures)$", r"\1", 0.9),
        (r"^(?:the )?answer to (.+)$", r"\1", 0.9),
    )
)  # fmt: skip

_IDLE = word_set(
    """
    just really quite rather very pretty fairly also even only simply actually basically literally kindly now then
    currently presently overall there here maybe perhaps probably possibly somehow ever yet still again together
    exactly precisely approximately roughly about around directly
    """
)
_TURNS = word_set(
    "left right front back behind ahead around facing face turn turned looking look stand standing sit at"
)
"""Of a viewpoint, not of an occasion."""
_PRONOUNS = word_set("it they them that this these those one")
_OWN = {"its": "'s", "their": "'s", "his": "'s", "her": "'s"}
_DETERMINERS = word_set("a an any some another the my your our his her their this that these those")


def plainer(words: Words, nouns: frozenset[str]) -> Iterator[tuple[Words, float, Words]]:
    """Other wordings of a sentence, the nearest first: (words, how sure, words that were passed over)."""
    seen = {words}
    queue: list[tuple[Words, float, Words]] = [(words, 1.0, ())]
    tried = 0
    while queue and tried < _MOST_VARIANTS:
        now, certainty, skipped = queue.pop(0)
        for variant, factor, dropped in _steps(now, nouns):
            if variant and variant not in seen:
                seen.add(variant)
                tried += 1
                found = (variant, certainty * factor, (*skipped, *dropped))
                yield found
                queue.append(found)


def _steps(words: Words, nouns: frozenset[str]) -> Iterator[tuple[Words, float, Words]]:
    text = " ".join(words)
    for pattern, plain, certainty in _REWRITES:
        match = pattern.match(text)
        if match:
            yield tuple(match.expand(plain).split()), certainty, ()
    for i in [i for i, word in enumerate(words) if word == ","]:
        topic, rest = words[:i], words[i + 1 :]
        for variant in resolved(rest, topic, nouns, whole=True):
            yield variant, 0.95, ()
        if len(rest) <= 3 and _is_aside(rest, nouns):
            yield topic, 0.5, rest  # perhaps a name or a greeting
        if i <= 3 and _is_aside(topic, nouns):
            yield rest, 0.5, topic
    for i in [i for i, word in enumerate(words) if word in _PRONOUNS and i > 2][:2]:
        for variant in resolved(words[i:], words[:i], nouns):
            yield (*words[:i], *variant), 0.95, ()
    if "," in words and words[0] in ("if", "when", "because", "since", "in", "for", "as"):
        i = words.index(",")
        if not _names(words[:i], nouns) and not any(w in _TURNS for w in words[:i]):
            yield words[i + 1 :], 0.8, words[:i]  # an occasion, no place: "if there is a fire, ..."
    idle = [i for i, word in enumerate(words) if word in _IDLE]
    if idle:
        yield tuple(w for w in words if w not in _IDLE), 0.85, tuple(words[i] for i in idle)


def _is_aside(words: Words, nouns: frozenset[str]) -> bool:
    """True of a few words that no question is made of."""
    return all(not is_known(w, nouns) or w in _IDLE or w in ("the", "my", "a") for w in words)


def _names(words: Words, nouns: frozenset[str]) -> bool:
    text = Text(words, nouns)
    return any(text.noun(i) for i in range(len(words)))


def resolved(words: Words, context: Words, nouns: frozenset[str], whole: bool = False) -> Iterator[Words]:
    """The words with what ``context`` speaks of in place of a pronoun: "where is it" -> where is the orange thing.

    ``whole``: the context must say nothing else.
    """
    at = [i for i, word in enumerate(words) if word in _PRONOUNS and not _is_article(words, i)]
    own = [i for i, word in enumerate(words) if word in _OWN]
    if not at and not own:
        return
    for named in antecedents(context, nouns, many=bool({"they", "them", "these", "those"} & set(words)), whole=whole):
        kind = named[1:] if named[0] in _DETERMINERS else named
        one = named if named[0] in _DETERMINERS and "and" in named else ("the", *kind)
        out: list[str] = []
        for i, word in enumerate(words):
            if i in own and not at:
                out += [*one, _OWN[word]]
            elif i in at[:1]:
                out += ["a", *kind] if word == "one" and words[i - 1 : i] in (("there",), ("see",), ("have",)) else one
                if word == "one" and out and words[i - 1 : i] in (("that",), ("this",), ("the",)):
                    out = [*out[: -len(one) - 1], *one]
            else:
                out.append(word)
        yield tuple(out)


def _is_article(words: Words, i: int) -> bool:
    """True of "that" in "that chair", "which one", "one of the"."""
    before, after = words[i - 1] if i else "", words[i + 1] if i + 1 < len(words) else ""
    if words[i] == "one":
        return before not in ("there", "see", "have", "that", "this", "the", "got", "find") or after in (
            "of",
            "on",
            "in",
            "to",
            "next",
            "by",
            "near",
        )
    if words[i] in ("this", "that", "these", "those"):
        return after not in ("", "is", "are", "one", ",", "from", "to", "be", "in", "on") or after == "one"
    return words[i] == "it" and before in ("is", "was") and after in ("to", "from", "true", "possible", "that", "in")


def antecedents(words: Words, nouns: frozenset[str], many: bool, whole: bool) -> list[Words]:
    """What a sentence speaks of, the likeliest first: its longest noun phrase, then what begins later; ``many``: first
    of all several that are joined by "and".
    """
    text = Text(words, nouns)
    if many:
        joined = [(i, end) for i in range(len(words)) for end, _ in text.part("list", i) if "or" not in words[i:end]]
        if joined and (not whole or _says_nothing_else(words, *max(joined, key=lambda r: r[1] - r[0]))):
            a, b = max(joined, key=lambda r: r[1] - r[0])
            return [words[a:b]]
    found: list[tuple[int, int]] = []
    i = 0
    while i < len(words):
        ends = [end for end, meaning in text.part("np", i) if not isinstance(meaning, Me)]
        known = [end for end in ends if any(text.noun(j) for j in range(i, end))]
        if known and (words[i] in _DETERMINERS or text.noun(i) or i == 0):
            end = max(known)
            found.append((i, end))
            i = end
        else:
            i += 1
    return [words[a:b] for a, b in found if not whole or _says_nothing_else(words, a, b)][:2]


def _says_nothing_else(words: Words, start: int, end: int) -> bool:
    return all(w in _FRAME for w in (*words[:start], *words[end:]))


_FRAME = _IDLE | word_set(
    "i you we am after my me what is are was were the a there see saw have had lost found need want look at take consider see can could"
    " not find any and , about for of if do did one does"
)
