"""What the tour keeps in one interpreter, and calls in the main one."""


def embed(text):
    return [ord(letter) / 128 for letter in text]


class Model:
    def __init__(self, weight):
        self.weight = weight

    def predict(self, features):
        return self.weight * sum(features)
