"""An LSTM on the characters of Shakespeare: a memory that is carried from character to character.

Where attention looks back, a recurrent network remembers: each character changes a state of fixed size, and gates learn
what to keep and what to forget. Backpropagation goes back through every step of it.
"""

import argparse
from pathlib import Path

from goals import Goal, report
from shakespeare_gpt import draw, learn, read

import pullback as pb
from pullback import models, optim

BATCH = 32


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), help="folder for the pictures")
    parser.add_argument("--backend", default=pb.backend().name, help="numpy, cupy, ... (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a short run")
    options = parser.parse_args(argv)
    with pb.use(options.backend):
        return run(options.out, options.quick)


def run(out, quick):
    vocabulary, training, validation = read(quick)
    updates = 24 if quick else 2000

    pb.manual_seed(0)
    model = models.CharRNN(len(vocabulary), width=128, layers=2, cell="lstm")
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, updates, eta_min=1e-4)
    print(f"An LSTM of {model.parameter_count():,} parameters, {len(vocabulary)} characters.")
    losses, measured = learn(model, optimizer, schedule, training, validation, updates, BATCH)
    sample = write(model, vocabulary, 120 if quick else 500)
    print(f"\n{sample}\n")
    draw(losses, measured, len(vocabulary), out / "shakespeare_lstm.png", "An LSTM reads Shakespeare")
    goals = [Goal("validation loss", measured[updates], at_most=1.90, unit=" nats")]
    report(goals, out / "shakespeare_lstm.json", quick)
    return {"losses": losses, "validation": measured, "sample": sample, "goals": goals}


def write(model, vocabulary, count):
    """A text that begins with a line break, drawn character by character."""
    generator, state = pb.random.Generator(1), None
    text = "\n"
    with pb.no_grad():
        for _ in range(count):
            logits, state = model(pb.asarray(vocabulary.encode(text[-1]))[None, :], state)
            text += vocabulary.decode(models.sample_tokens(logits[:, -1], temperature=0.8, generator=generator))
    return text


if __name__ == "__main__":
    main()
