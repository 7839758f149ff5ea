"""Words: what things are called, how words are written, and which words mean the same.

The tables follow WordNet's relations (synonym, hypernym) for things found indoors, plus the class names of Pascal VOC, COCO, ADE20K,
ScanNet and ARKitScenes that segmenters publish.
"""

from __future__ import annotations

from functools import lru_cache


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("sofa", "couch", "settee", "loveseat", "chesterfield", "sofa bed"),
    (
        "tv",
        "television",
        "telly",
        "tv set",
        "television set",
        "tv screen",
        "television screen",
        "flat screen",
        "flatscreen",
    ),
    ("monitor", "computer monitor", "computer screen", "pc monitor", "pc screen", "desktop monitor"),
    (
        "trash bin",
        "trash can",
        "garbage can",
        "garbage bin",
        "waste bin",
        "wastebasket",
        "waste basket",
        "bin",
        "dustbin",
        "rubbish bin",
        "trashcan",
        "trashbin",
        "litter bin",
        "wastebin",
        "waste paper basket",
        "wastepaper basket",
        "garbage",
        "trash",
        "dumpster",
        "rubbish",
        "garbage basket",
        "trash basket",
        "dust bin",
    ),
    ("recycling bin", "recycle bin", "recycling can"),
    ("refrigerator", "fridge", "fridge freezer", "icebox", "refridgerator", "freezer"),
    ("stove", "cooker", "hob", "cooktop", "cooking range", "stovetop", "stove top", "cook top", "kitchen range"),
    ("oven", "baking oven"),
    ("microwave", "microwave oven"),
    ("washer", "washing machine", "laundry machine", "clothes washer"),
    ("dryer", "tumble dryer", "clothes dryer", "drier", "tumble drier"),
    ("dishwasher", "dish washer"),
    ("telephone", "phone", "landline"),
    ("cell phone", "mobile phone", "smartphone", "cellphone", "mobile", "smart phone"),
    ("bookshelf", "bookcase", "book shelf", "book case", "bookrack"),
    ("nightstand", "bedside table", "night table", "night stand", "bedside cabinet", "bed side table"),
    ("bathtub", "tub", "bath", "bath tub", "bathing tub"),
    ("closet", "wardrobe", "armoire"),
    ("cabinet", "cupboard"),
    ("dresser", "chest of drawers", "bureau", "drawers", "drawer"),
    ("counter", "countertop", "worktop", "kitchen counter", "counter top", "kitchen countertop", "work surface"),
    ("plant", "potted plant", "houseplant", "pot plant", "indoor plant", "house plant", "pottedplant", "flower pot"),
    ("dining table", "diningtable", "dinner table", "dinning table", "dinning room table", "dining room table"),
    ("table", "table top"),
    ("coffee table", "cocktail table"),
    ("desk", "writing desk", "writing table", "office desk", "computer desk", "workdesk", "work desk"),
    ("armchair", "arm chair", "easy chair", "lounge chair", "recliner"),
    ("stool", "bar stool", "barstool", "bar chair"),
    ("ottoman", "footstool", "pouf", "foot stool", "footrest"),
    ("backpack", "rucksack", "knapsack", "back pack", "schoolbag", "school bag", "book bag"),
    ("handbag", "purse"),
    ("suitcase", "luggage"),
    ("mug", "coffee mug"),
    ("cup", "coffee cup", "tea cup", "teacup"),
    ("wine glass", "wineglass"),
    ("laptop", "notebook computer", "laptop computer", "notebook pc"),
    ("computer", "pc", "desktop computer", "computer tower", "pc tower"),
    ("keyboard", "computer keyboard"),
    ("mouse", "computer mouse"),
    ("curtain", "drape", "drapery"),
    ("blinds", "blind", "window blind", "shutter"),
    ("rug", "carpet", "floor mat"),
    ("picture", "painting", "picture frame", "photo", "photograph", "photo frame", "framed picture", "artwork"),
    ("whiteboard", "white board", "dry erase board", "marker board"),
    ("blackboard", "chalkboard"),
    ("person", "human", "man", "woman", "somebody", "someone", "anyone", "anybody", "guy"),
    ("bicycle", "bike", "cycle", "push bike"),
    ("motorcycle", "motorbike"),
    ("airplane", "aeroplane", "plane"),
    ("remote", "remote control"),
    ("hair dryer", "hair drier", "hairdryer", "blow dryer"),
    ("box", "carton", "cardboard box"),
    ("sink", "basin", "washbasin", "wash basin", "washbowl", "hand basin"),
    ("toilet", "loo", "wc", "commode", "toilet bowl", "lavatory", "water closet"),
    ("pillow", "cushion", "throw pillow"),
    ("blanket", "duvet", "quilt", "comforter", "throw"),
    ("controller", "gamepad", "game controller", "joystick", "game pad"),
    ("table lamp", "desk lamp", "bedside lamp", "reading lamp"),
    ("floor lamp", "standing lamp"),
    ("ceiling lamp", "pendant lamp", "hanging lamp"),
    ("fireplace", "fire place", "hearth"),
    ("fan", "ventilator"),
    ("door", "entrance door", "front door", "entry door", "doors"),
    ("heater", "space heater"),
    ("radiator", "wall radiator"),
    ("air conditioner", "ac", "aircon", "air conditioning", "ac unit"),
    ("printer", "copier", "photocopier", "laser printer", "copy machine"),
    ("vase", "flower vase"),
    ("book", "paperback"),
    ("shelf", "shelving", "rack", "shelving unit", "shelves"),
    ("bench", "pew"),
    ("bed", "bedstead"),
    ("mirror", "looking glass"),
    ("towel", "hand towel", "bath towel"),
    ("ladder", "stepladder", "step ladder"),
    ("guitar", "acoustic guitar", "electric guitar"),
    ("vacuum cleaner", "vacuum", "hoover"),
    ("crib", "cot", "baby bed"),
    ("faucet", "tap"),
    ("soap dispenser", "soap"),
    ("coat", "jacket"),
    ("shoe", "sneaker", "boot"),
    ("teddy bear", "teddy", "stuffed animal", "plush toy"),
    ("stairs", "staircase", "stairway", "steps"),
    ("water bottle", "drinking bottle"),
    ("paper towel dispenser", "paper towel holder"),
    ("kettle", "electric kettle", "tea kettle", "teakettle"),
    ("coffee maker", "coffee machine"),
    (
        "unknown object",
        "unknown thing",
        "unknown item",
        "unidentified object",
        "unidentified thing",
        "unidentified item",
        "unnamed object",
        "unnamed thing",
        "unlabeled object",
        "unrecognized object",
        "unclassified object",
        "nameless object",
        "mystery object",
    ),
    ("trolley", "cart"),
    ("coat rack", "coat stand", "hat stand", "coatrack", "hat rack"),
    ("pan", "frying pan", "skillet"),
)
"""Words for the same thing; the first of each group is its name here."""

NAMES_OF_LABELS: dict[str, tuple[str, ...]] = {
    "tvmonitor": ("tv", "monitor"),
    "tv/monitor": ("tv", "monitor"),
    "tv or monitor": ("tv", "monitor"),
    "diningtable": ("dining table",),
    "pottedplant": ("plant",),
    "aeroplane": ("airplane",),
    "cellphone": ("cell phone",),
    "trashcan": ("trash bin",),
    "wastecontainer": ("trash bin",),
    "washingmachine": ("washer",),
}
"""Labels that stand for several things, or are written without spaces."""

RELATED: dict[str, tuple[str, ...]] = {
    "table": ("desk", "dining table", "coffee table", "nightstand"),
    "desk": ("table",),
    "dining table": ("table",),
    "coffee table": ("table",),
    "nightstand": ("table", "cabinet"),
    "tv": ("monitor", "screen"),
    "monitor": ("tv", "screen"),
    "screen": ("monitor", "tv", "laptop"),
    "display": ("monitor", "tv", "screen"),
    "oven": ("stove",),
    "stove": ("oven",),
    "range": ("stove", "oven"),
    "cup": ("mug",),
    "mug": ("cup",),
    "armchair": ("chair", "sofa"),
    "chair": ("armchair",),
    "shelf": ("bookshelf",),
    "bookshelf": ("shelf",),
    "cabinet": ("dresser",),
    "dresser": ("cabinet",),
    "light": ("lamp", "ceiling light"),
    "lamp": ("light",),
    "doorway": ("door",),
    "exit": ("door",),
    "entrance": ("door",),
    "way out": ("door",),
    "telephone": ("cell phone",),
    "cell phone": ("telephone",),
    "computer": ("laptop",),
    "bag": ("backpack", "handbag", "suitcase"),
    "backpack": ("bag",),
    "recycling bin": ("trash bin",),
    "heater": ("radiator",),
    "radiator": ("heater",),
    "ottoman": ("stool",),
    "stool": ("ottoman",),
    "mattress": ("bed",),
    "bottle": ("water bottle",),
    "water bottle": ("bottle",),
    "air conditioner": ("fan",),
    "table lamp": ("lamp",),
    "floor lamp": ("lamp",),
    "ceiling lamp": ("ceiling light", "light", "lamp"),
    "poster": ("picture",),
    "picture": ("poster",),
    "mat": ("rug",),
    "crib": ("bed",),
    "trolley": (),
    "bench": (),
}
"""Other labels that may be meant where the scene has no better one (asked word -> labels)."""

LOOSE = frozenset(
    (
        "mattress", "crib", "recycling bin", "air conditioner", "ottoman", "stool", "bag", "mat", "telephone", "armchair",
        "nightstand", "dresser", "cabinet", "picture", "poster", "tv", "monitor",
    )
)  # fmt: skip
"""Words of these whose related labels are often something else."""

KINDS: dict[str, tuple[str, ...]] = {
    "furniture": (
        "chair", "table", "sofa", "bed", "desk", "stool", "armchair", "bookshelf", "shelf", "cabinet", "closet", "dresser",
        "nightstand", "bench", "ottoman", "counter", "dining table", "coffee table", "mattress", "crib",
    ),
    "seat": ("chair", "sofa", "stool", "armchair", "bench", "ottoman"),
    "appliance": (
        "refrigerator", "stove", "oven", "microwave", "washer", "dryer", "dishwasher", "tv", "fan", "toaster", "kettle",
        "coffee maker", "air conditioner", "vacuum cleaner",
    ),
    "electronics": ("tv", "monitor", "laptop", "computer", "keyboard", "mouse", "telephone", "cell phone", "printer", "remote"),
    "animal": ("cat", "dog", "bird", "horse", "sheep", "cow"),
    "pet": ("cat", "dog", "bird"),
    "vehicle": ("car", "bus", "truck", "bicycle", "motorcycle", "train", "boat", "airplane"),
    "bedding": ("pillow", "blanket", "mattress"),
    "storage": ("cabinet", "closet", "dresser", "bookshelf", "shelf", "nightstand"),
    "table or desk": ("table", "desk"),
    "kitchen area": ("stove", "refrigerator", "oven", "microwave", "dishwasher", "sink", "counter", "kitchen cabinet"),
    "dining area": ("dining table", "table"),
    "living area": ("sofa", "tv", "coffee table", "armchair"),
    "sleeping area": ("bed", "nightstand"),
    "working area": ("desk", "monitor", "computer", "keyboard"),
    "bathing area": ("toilet", "bathtub", "shower", "sink"),
}  # fmt: skip
"""Words for whole groups of classes."""

ACTIVITIES: dict[str, str] = {
    activity: kind
    for kind, activities in (
        ("seat", "sit,sit down,sit on,sit down on,take a seat,have a seat,seat myself,rest my legs,perch"),
        ("bed", "sleep,sleep on,sleep in,lie down,lie down on,lay down,lie on,take a nap,have a nap,nap,lie"),
        ("sink", "wash my hands,wash hands,wash your hands,wash up,do the dishes,rinse a cup,wash my face,brush my teeth,clean my hands,wash dishes"),
        ("trash bin", "throw away trash,throw away garbage,throw away rubbish,throw trash away,throw something away,throw something out,throw out trash,"
                      "throw this away,throw it away,throw things away,throw away something,throw away my trash,throw away a piece of paper,dispose of trash,"
                      "dispose of something,throw trash,throw garbage,throw rubbish,throw away some trash,throw away,dump my trash,put my trash,put trash,bin this"),
        ("tv", "watch tv,watch television,watch a movie,watch a film,watch the news,watch"),
        ("stove", "cook,cook something,cook dinner,fry an egg,boil water,cook a meal"),
        ("door", "leave,exit,get out,go out,go outside,leave the room,exit the room,get out of the room,get out of here,escape,go home"),
        ("window", "look outside,see outside,look out,get fresh air,get some fresh air,let in some air,see the street,see out"),
        ("mirror", "see myself,look at myself,check my hair,shave,see my face,do my makeup"),
        ("printer", "print,print something,print a document,make a copy,copy something"),
        ("keyboard", "type,type something,type a document"),
        ("shower", "take a shower,shower,have a shower"),
        ("bathtub", "take a bath,have a bath,bathe"),
        ("toilet", "use the bathroom,use the restroom,use the loo,pee,go to the toilet"),
        ("washer", "wash my clothes,wash clothes,do the laundry,do laundry"),
        ("clock", "tell the time,check the time,read the time,see the time,see what time it is,know the time"),
        ("refrigerator", "get a cold drink,cool a drink,keep food cold,store food,get some milk,cool my drink"),
        ("closet", "hang my clothes,hang clothes,put my clothes,hang my coat"),
        ("whiteboard", "write on"),
        ("lamp", "get more light,turn on the light,switch on the light"),
        ("desk", "work,study,do my homework,write"),
        ("table", "eat,have dinner,have breakfast,have lunch,dine"),
    )
    for activity in activities.split(",")
}  # fmt: skip
"""What people do with things: activity -> what they need for it."""

AREAS: dict[str, str] = {
    "kitchen": "kitchen", "cooking": "kitchen", "dining": "dining", "eating": "dining", "living": "living", "lounge": "living", "sitting": "living",
    "tv": "living", "seating": "living", "living room": "living", "dining room": "dining", "bedroom": "sleeping", "sleeping": "sleeping", "bed": "sleeping",
    "office": "working", "work": "working", "working": "working", "study": "working", "desk": "working", "bathroom": "bathing", "bath": "bathing",
}  # fmt: skip
"""Areas of a room, by the furniture that makes them (see ``KINDS``: "kitchen area")."""

UNNAMED = "unknown object"
"""What the map has seen, but has no name for."""

KIND_WORDS: dict[str, str] = {
    "furniture": "furniture", "piece of furniture": "furniture", "furnishing": "furniture", "furniture item": "furniture",
    "furniture piece": "furniture", "item of furniture": "furniture",
    "seat": "seat", "seating": "seat", "place to sit": "seat", "sitting place": "seat", "something to sit on": "seat",
    "appliance": "appliance", "household appliance": "appliance", "kitchen appliance": "appliance",
    "electronics": "electronics", "electronic device": "electronics", "device": "electronics", "electronic": "electronics",
    "gadget": "electronics",
    "animal": "animal", "pet": "pet", "vehicle": "vehicle", "bedding": "bedding", "storage": "storage",
    "storage furniture": "storage",
}  # fmt: skip

ANYTHING = frozenset(
    (
        "object",
        "thing",
        "item",
        "anything",
        "something",
        "everything",
        "one",
        "stuff",
        "entity",
        "obstacle",
        "category",
        "element",
    )
)
"""Words that mean: any object at all."""

ROOM_WORDS = frozenset(
    (
        "room",
        "space",
        "apartment",
        "flat",
        "scene",
        "house",
        "place",
        "area",
        "kitchen",
        "bedroom",
        "bathroom",
        "office",
        "hall",
    )
)

OTHER_NOUNS = (
    "chair", "table", "window", "wall", "floor", "ceiling", "corner", "board", "bottle", "bowl", "plate", "knife", "fork", "spoon",
    "lamp", "clock", "ceiling fan", "standing fan", "wall clock", "alarm clock", "umbrella stand", "plant stand", "music stand", "scissors", "toaster", "basket", "bag", "hat", "umbrella", "tie", "ball", "toy", "car", "bus", "train", "truck", "boat", "cat",
    "dog", "bird", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "banana", "apple", "orange", "cake", "pizza",
    "paper", "toilet paper", "tissue", "toothbrush", "shower", "shower curtain", "doorway", "column", "pillar", "mat", "poster",
    "magazine", "rack", "stand", "tv stand", "screen", "light", "display", "speaker", "camera", "router", "projector", "socket",
    "light switch", "switch", "mattress", "piano", "clothes", "shirt", "bucket", "broom", "mop", "iron", "ironing board", "hanger",
    "traffic cone", "cone", "statue", "fence", "locker", "file cabinet", "filing cabinet", "vending machine", "water cooler",
    "water dispenser", "fire extinguisher", "fire alarm", "pen", "pencil", "notebook", "folder", "tray", "jar", "can", "glass",
    "candle", "flower", "tree", "grass", "road", "sidewalk", "tent", "robot", "charging station", "charger", "dock", "cable",
    "headphone", "headphones", "tablet", "chessboard", "game console", "helmet", "glove", "sock", "bath mat", "toilet seat", "pipe",
    "kitchen cabinet", "kitchen island", "island", "sideboard", "range", "exhaust hood", "hood", "range hood", "sign", "exit sign",
    "exit", "entrance", "way out", "partition", "divider", "stage", "podium", "lectern", "blinds", "pot", "tissue box",
    "laundry basket", "paper towel", "toiletry", "bathrobe", "towel rack", "coat rack", "office chair", "rocking chair",
    "folding chair", "wheelchair", "high chair", "swivel chair", "couch table", "side table", "end table", "kitchen table",
    "work bench", "workbench", "foosball table", "pool table", "ping pong table", "scale", "thermostat", "sewing machine",
    "rice cooker", "blender", "cutting board", "dish rack", "seat cover dispenser", "dispenser", "stall", "urinal", "bathroom stall",
    "ledge", "windowsill", "window sill", "headboard", "footboard", "handrail", "railing", "banister", "beam", "vent", "shower door",
    "bookend", "calendar", "map", "globe", "trophy", "banner", "flag", "tripod", "easel", "telescope", "microscope", "beanbag",
    "bean bag", "hammock", "swing", "parking meter", "bench", "fire hydrant", "stop sign", "traffic light", "skateboard",
    "surfboard", "snowboard", "skis", "kite", "frisbee", "baseball bat", "baseball glove", "tennis racket", "donut", "sandwich",
    "carrot", "broccoli", "hot dog", "sports ball", "bookstand", "compost bin", "crate", "barrel", "pallet", "shelf unit",
)  # fmt: skip
"""Further things with names, so that their words are known to be nouns."""

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (190, 35, 35), "orange": (225, 130, 40), "yellow": (220, 205, 60), "green": (60, 140, 60), "blue": (45, 80, 170),
    "purple": (115, 60, 140), "pink": (225, 140, 165), "brown": (115, 75, 45), "beige": (205, 185, 150), "white": (225, 225, 222),
    "gray": (125, 125, 125), "black": (32, 32, 32),
}  # fmt: skip
"""Typical sRGB values of colour names."""

COLOR_WORDS: dict[str, str] = {c: c for c in COLORS} | {
    "grey": "gray", "silver": "gray", "tan": "beige", "cream": "beige", "violet": "purple", "maroon": "red", "navy": "blue",
    "turquoise": "green", "teal": "green", "gold": "yellow", "golden": "yellow", "ivory": "white", "crimson": "red",
    "magenta": "pink", "cyan": "blue",
}  # fmt: skip

NUMBER_WORDS: dict[str, int] = {
    w: i
    for i, w in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"no": 0, "none": 0, "single": 1, "dozen": 12}

ORDINALS: dict[str, int] = {
    w: i + 1
    for i, w in enumerate(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
    )
} | {f"{i}{s}": i for i, s in ((1, "st"), (2, "nd"), (3, "rd"), *((i, "th") for i in range(4, 13)))}

AMERICAN: dict[str, str] = {
    "colour": "color", "colours": "colors", "coloured": "colored", "grey": "gray", "centre": "center", "metre": "meter",
    "metres": "meters", "centimetre": "centimeter", "centimetres": "centimeters", "millimetre": "millimeter",
    "millimetres": "millimeters", "neighbouring": "neighboring", "nearby": "near", "furthest": "farthest", "further": "farther",
    "towards": "toward", "discovered": "seen", "sighting": "seen", "sightings": "seen", "sighted": "seen", "perceived": "seen", "whats": "what is", "wheres": "where is", "hows": "how is", "theres": "there is",
    "im": "i am", "whos": "who is", "tvs": "tvs", "oclock": "o'clock", "infront": "in front", "lefthand": "left hand",
    "righthand": "right hand", "nearst": "nearest", "closet's": "closet", "alot": "many", "u": "you", "ur": "your",
    "dims": "dimensions", "dim": "dimensions", "headcount": "count", "litre": "liter", "litres": "liters", "em": "", "favour": "favor", "favourite": "favorite", "sooner": "earlier", "soonest": "first", "gimme": "give me", "lemme": "let me", "dunno": "do not know", "whatcha": "what do you", "kinda": "kind of", "sorta": "sort of",
    "theyre": "they are", "thats": "that is", "hight": "height", "heigth": "height", "lenght": "length", "widht": "width",
    "bigest": "biggest", "cloest": "closest", "clossest": "closest", "beetween": "between", "betwen": "between",
    "distnace": "distance", "wich": "which", "whch": "which", "wat": "what", "wut": "what", "wher": "where", "hw": "how",
    "farest": "farthest", "fartest": "farthest", "furtherest": "farthest", "farthermost": "farthest",
    "tabletop": "table top", "mny": "many", "manny": "many", "pls": "please", "plz": "please", "hte": "the", "teh": "the", "rubish": "rubbish",
}  # fmt: skip
"""British spellings, missing apostrophes and common slips."""

CONTRACTIONS: dict[str, str] = {
    "isn't": "is not", "aren't": "are not", "wasn't": "was not", "weren't": "were not", "don't": "do not", "doesn't": "does not",
    "didn't": "did not", "can't": "can not", "cannot": "can not", "couldn't": "could not", "haven't": "have not",
    "hasn't": "has not", "won't": "will not", "wouldn't": "would not", "i'm": "i am", "you're": "you are", "we're": "we are",
    "they're": "they are", "i've": "i have", "you've": "you have", "we've": "we have", "i'd": "i would", "you'd": "you would",
    "i'll": "i will", "you'll": "you will", "let's": "let us", "what're": "what are", "where're": "where are", "what've": "what have",
    "d'you": "do you", "d'ya": "do you", "what'd": "what did", "where'd": "where did", "how'd": "how did", "who'd": "who did", "when'd": "when did", "it'd": "it would",
    "they'd": "they would", "we'd": "we would", "it'll": "it will", "they'll": "they will", "we'll": "we will", "they've": "they have",
    "there's": "there is", "that'll": "that will", "hadn't": "had not", "shouldn't": "should not", "y'all": "you", "ain't": "is not",
    "there're": "there are", "gonna": "going to", "wanna": "want to", "gotta": "got to",
}  # fmt: skip

PLAINER: dict[str, str] = {
    phrase: plain
    for phrases, plain in (
        ("turned up,showed up,popped up,cropped up,came up,came along", "appeared"),
        ("turn up,show up,pop up,crop up,come up,come along", "appear"),
        ("turns up,shows up,pops up,crops up,comes up,comes along", "appears"),
        ("came across,come across,stumbled upon,stumble upon,laid eyes on,set eyes on,happened upon,caught sight of,catch sight of,made out,make out,picked up on", "seen"),
        ("one another,one from another,one and another", "each other"),
        ("arm 's reach,arm 's length,arms reach,arms length,arm reach,reach of my arm,reach of my hand,grabbing distance,touching distance", "reach"),
        ("shown up,popped up,turned up,cropped up", "appeared"),
        ("blocking the way between,in the way between,on the way between,standing in the way between,blocking the path between", "between"),
        ("are you able to,were you able to", "can you"),
        ("am i able to,would i be able to", "can i"),
        ("prior to,earlier than", "before"),
        ("how come", "why"),
        ("tell me about,tell me more about,tell me something about,talk me through", "describe"),
        ("what about", "what is"),
        ("what if,how about if", "if"),
        ("as well as,along with,together with,plus also", "and"),
        ("a couple of,a pair of", "two"),
        ("half a dozen,a half dozen", "six"),
        ("the amount of,the quantity of,the tally of", "the number of"),
        ("which hand side,what hand side,which hand,what hand", "which side"),
        ("as opposed to,rather than,instead of", "or"),
        ("in front or,in the front or", "front or"),
        ("in proportion to,in comparison to,in comparison with,compared with,as compared to", "compared to"),
        ("facing away from", "looking away from"),
        ("on top off,ontop of", "on top of"),
        ("next too", "next to"),
        ("happen to have seen,happen to see", "see"),
        ("happen to have", "have"),
        ("somewhere else,some place else,in another place,in a different place,in a different spot,in another spot,at another place,at a different place", "elsewhere"),
        ("in my vicinity,in my proximity,in your vicinity,in my surroundings,all around me,round me", "near me"),
        ("be looking", "look"),
        ("or more to the", "or to the"),
        ("out of place,out of its place", "moved"),
        ("has there been,have there been,has there ever been", "is there"),
        ("head over to,go over to,move over to,drive over to,walk over to,head to,head for,make your way to,proceed to,make for,roll over to", "go to"),
        ("is become of,'s become of,has come of", "became of"),
        ("half way between,halfway between,midway between,in the middle between,the middle between,mid way between", "between"),
        ("quicker to reach from,easier to reach from,faster to reach from,quicker to get to from,easier to get to from,faster to get to from", "closer to"),
        ("quickest to reach from,easiest to reach from,fastest to reach from,quickest to get to from,easiest to get to from,fastest to get to from", "closest to"),
        ("quicker to reach,easier to reach,faster to reach,quicker to get to,easier to get to,faster to get to", "closer"),
        ("quickest to reach,easiest to reach,fastest to reach,quickest to get to,easiest to get to,fastest to get to", "closest"),
        ("harder to reach,harder to get to", "farther"),
    )
    for phrase in phrases.split(",")
}  # fmt: skip
"""Phrasal verbs and set phrases, and the plain words for them."""

IRREGULAR_PLURALS: dict[str, str] = {
    "shelves": "shelf", "bookshelves": "bookshelf", "knives": "knife", "mice": "mouse", "people": "person", "persons": "person",
    "men": "man", "women": "woman", "children": "child", "leaves": "leaf", "feet": "foot", "teeth": "tooth", "sheep": "sheep",
    "furnitures": "furniture", "scarves": "scarf", "loaves": "loaf", "dice": "die", "shelfs": "shelf", "bookshelfs": "bookshelf",
    "movies": "movie", "cookies": "cookie", "shoes": "shoe", "couches": "couch", "vases": "vase", "buses": "bus", "axes": "axis",
}  # fmt: skip

_NO_PLURAL = word_set(
    """
    glass gas mattress dress bus chess compass pants scissors blinds stairs headphones electronics clothes skis
    glasses this is us as has was its less across toss grass address access business lens canvas dishes always
    does goes besides tennis series species jeans shorts trousers binoculars iris chassis plus miss cross class
    press process
    """
)


@lru_cache(maxsize=8192)
def singular(word: str) -> str:
    """Singular of an English noun (last word of a compound); words that are no plural stay as they are."""
    head, space, last = word.rpartition(" ")
    if last in IRREGULAR_PLURALS:
        last = IRREGULAR_PLURALS[last]
    elif last in _NO_PLURAL or len(last) < 3 or not last.endswith("s") or last.endswith("ss"):
        pass
    elif last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif last.endswith(("ches", "shes", "xes", "sses", "zes")) or last.endswith("'s"):
        last = last[:-2]
    elif not last.endswith(("us", "is")):
        last = last[:-1]
    return head + space + last


def is_plural(word: str) -> bool:
    """True if the (last) word is written as a plural."""
    last = word.rpartition(" ")[2]
    return (last in IRREGULAR_PLURALS and IRREGULAR_PLURALS[last] != last) or singular(last) != last


def plural(word: str) -> str:
    """Plural of a noun, for answers in words."""
    head, space, last = word.rpartition(" ")
    for many, one in IRREGULAR_PLURALS.items():
        if one == last:
            return head + space + many
    if last in _NO_PLURAL:
        return word
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return head + space + last[:-1] + "ies"
    return word + ("es" if last.endswith(("s", "x", "ch", "sh", "z")) else "s")


_GROUP_OF: dict[str, str] = {singular(w): group[0] for group in SYNONYMS for w in group} | {
    w: group[0] for group in SYNONYMS for w in group
}

NOUNS: frozenset[str] = frozenset(
    [*_GROUP_OF, *map(singular, OTHER_NOUNS), *OTHER_NOUNS, *ANYTHING, *KIND_WORDS, *ROOM_WORDS, *RELATED]
)
"""All nouns that are known without a scene, singular."""


@lru_cache(maxsize=8192)
def concept(name: str) -> str:
    """The name under which a thing is known here: ``couches`` -> ``sofa``; unknown words give their singular."""
    word = singular(name.strip().lower())
    return _GROUP_OF.get(word, word)


@lru_cache(maxsize=8192)
def plain_label(label: str) -> str:
    """A label as words: ``Floor_Lamp`` -> ``floor lamp``."""
    return " ".join(label.lower().replace("_", " ").replace("-", " ").split())


@lru_cache(maxsize=8192)
def label_concepts(label: str) -> tuple[str, ...]:
    """What a label stands for: ``tvmonitor`` -> ``("tv", "monitor")``; ``office_chair`` -> ``("office chair",)``."""
    text = plain_label(label)
    return NAMES_OF_LABELS.get(text.replace(" ", ""), NAMES_OF_LABELS.get(text, (concept(text),)))
