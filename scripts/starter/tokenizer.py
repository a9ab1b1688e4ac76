"""The starter's tokenizer: byte-level BPE as CLIP's, learned from captions and the words that styles are made of.

Every byte stands in the vocabulary alone and at the end of a word, so that words never seen ("sks", "zebra") come out
as a few byte tokens instead of being lost.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
LIMIT = 77  # tokens, as every Stable Diffusion 1.x text encoder
_END_OF_WORD = "</w>"

# Words of prompts and styles beyond the captions. The starter was not trained on what they mean; one token each keeps
# prompts short, and gives a tune something to hold on to.
STYLE_WORDS = """
photo photograph picture image drawing sketch painting illustration render poster sticker icon logo mascot emoji
professional corporate business headshot studio lighting light soft hard dramatic natural golden hour sunset sunrise
night neon city street forest beach mountain desert snow rain garden field sky clouds space stars moon planet ocean
watercolor oil acrylic pencil charcoal ink pastel gouache crayon chalk marker engraving woodcut linocut etching fresco
mosaic stained glass paper origami clay wood stone marble bronze gold silver metal ceramic knitted embroidery
film noir vintage retro classic modern victorian medieval renaissance baroque gothic roman greek egyptian viking
samurai knight wizard witch elf fairy dragon vampire pirate cowboy astronaut robot cyborg android superhero detective
chef doctor nurse firefighter police pilot soldier teacher scientist artist musician dancer king queen prince princess
warrior ranger hunter hero villain angel demon ghost zombie mermaid
anime manga cartoon comic pixel art vector minimal flat toon storybook fantasy science fiction cyberpunk steampunk
futuristic abstract surreal cubism impressionism expressionism pop deco nouveau bauhaus psychedelic geometric
football basketball tennis baseball hockey golf boxing running cycling swimming skiing surfing skateboard yoga gym
spring summer autumn winter christmas halloween easter wedding birthday holiday party travel paris london tokyo york
dog cat pet puppy kitten horse bird rabbit bear lion tiger fox wolf owl toy object car bottle shoe bag chair
man woman person boy girl couple child children baby family friend people face hair eyes smile portrait avatar
wearing holding standing sitting looking with and in on of the a an by at for from under over front behind
suit tie dress jacket coat hat cap crown scarf armor uniform shirt sweater hoodie jeans glasses beard
detailed high quality sharp focus bokeh depth close up full body background bright dark colorful black white grey
red orange yellow green blue purple pink brown teal beautiful handsome cute happy sad serious smiling young old
blurry low bad ugly deformed text watermark extra cropped worst noise grain
""".split()


def learn(captions: Iterable[str], size: int) -> CLIPTokenizer:
    """A tokenizer with at most `size` entries, learned from `captions` and the style words."""
    # 1. CLIP's own normalisation and word splitting come with an empty tokenizer; only the merges are learned.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    alphabet = [*letters, *(letter + _END_OF_WORD for letter in letters)]
    backend = CLIPTokenizer(
        vocab={word: number for number, word in enumerate([*alphabet, START, END])}
    ).backend_tokenizer
    texts = [*captions, *(word for word in STYLE_WORDS for _ in range(20))]
    backend.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size - len(letters) - 2,
            initial_alphabet=letters,
            end_of_word_suffix=_END_OF_WORD,
            show_progress=False,
        ),
    )
    # 2. The vocabulary in CLIP's order: bytes, bytes that end a word, merges as they were learned, the two marks.
    model = json.loads(backend.to_str())["model"]
    learned = sorted(set(model["vocab"]) - set(alphabet), key=model["vocab"].__getitem__)
    vocabulary = {word: number for number, word in enumerate([*alphabet, *learned, START, END])}
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge) for merge in model["merges"]], model_max_length=LIMIT)


def load(folder: Path) -> CLIPTokenizer:
    """The tokenizer that `learn(...).save_pretrained(folder)` wrote."""
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
