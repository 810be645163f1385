"""A GPT on the characters of Shakespeare: four blocks of attention learn to write plays.

Every character attends to the 63 before it. The recipe is that of nanoGPT for a CPU: 4 layers of 4 heads, 128 wide,
2000 updates of 12 windows of 64 characters, AdamW with a warm-up and a cosine behind it; the learning rate is twice as
high, which so short a training can do with.
"""

import argparse
from math import log
from pathlib import Path

import numpy as np
from figures import BLUE, GREY, ORANGE, picture
from goals import Goal, report

import pullback as pb
from pullback import data, models, optim

TEXT = Path(__file__).parent / "data" / "tinyshakespeare.txt"
LENGTH, BATCH = 64, 12


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
    updates = 40 if quick else 2000

    pb.manual_seed(0)
    model = models.GPT(len(vocabulary), LENGTH, n_layer=4, n_head=4, n_embd=128, bias=False)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]  # the scales of the norms are not decayed
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.99))
    schedule = optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=updates // 20),
            optim.lr_scheduler.CosineAnnealingLR(optimizer, updates - updates // 20, eta_min=1e-4),
        ],
        milestones=[updates // 20],
    )
    print(f"A GPT of {model.parameter_count():,} parameters, {len(vocabulary)} characters.")
    losses, measured = learn(model, optimizer, schedule, training, validation, updates, BATCH)
    sample = write(model, vocabulary, 120 if quick else 500)
    print(f"\n{sample}\n")
    draw(losses, measured, len(vocabulary), out / "shakespeare_gpt.png", "A GPT reads Shakespeare")
    goals = [Goal("validation loss", measured[updates], at_most=1.90, unit=" nats")]
    report(goals, out / "shakespeare_gpt.json", quick)
    return {"losses": losses, "validation": measured, "sample": sample, "goals": goals}


def read(quick):
    """The vocabulary of the plays, and their text as numbers: nine tenths to learn from, the rest to be judged by."""
    text = TEXT.read_text(encoding="utf-8")
    vocabulary = data.CharacterVocabulary(text)
    tokens = vocabulary.encode(text)
    training, validation = tokens[: int(0.9 * len(tokens))], tokens[int(0.9 * len(tokens)) :]
    if quick:
        validation = validation[:3200]
    return vocabulary, training, validation


def learn(model, optimizer, schedule, training, validation, updates, batch):
    """The loss of every update, and that on the validation text at eight of them."""
    losses, measured = [], {}
    for update in range(updates):
        x, y = data.random_windows(training, LENGTH, batch)
        optimizer.zero_grad()
        loss = pb.cross_entropy(logits_of(model, x), y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)  # through many steps a gradient can grow beyond measure
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if (update + 1) % max(updates // 8, 1) == 0:
            measured[update + 1] = validation_loss(model, validation)
            print(f"update {update + 1}: validation loss {measured[update + 1]:.3f} nats", flush=True)
    return losses, measured


def logits_of(model, x):
    """What a model says of the next characters; a recurrent network gives its state too."""
    found = model(x)
    return found[0] if isinstance(found, tuple) else found


def validation_loss(model, tokens):
    """The mean loss over all windows that stand side by side in a text."""
    count = (len(tokens) - 1) // LENGTH
    windows = tokens[: count * LENGTH].reshape(count, LENGTH), tokens[1 : count * LENGTH + 1].reshape(count, LENGTH)
    total = 0.0
    model.eval()
    with pb.no_grad():
        for x, y in data.DataLoader(*windows, batch_size=128):
            total += pb.cross_entropy(logits_of(model, x), y).item() * len(x)
    model.train()
    return total / count


def write(model, vocabulary, count):
    """A text that begins with a line break."""
    start = pb.asarray(vocabulary.encode("\n"))[None, :]
    return vocabulary.decode(model.generate(start, count, temperature=0.8, generator=pb.random.Generator(1))[0])


def draw(losses, measured, characters, path, title):
    """Draw the loss of every update, smoothed, and that on the validation text."""
    width = max(len(losses) // 40, 1)
    smooth = np.convolve(losses, np.full(width, 1 / width), mode="valid")
    with picture(path, width=7.5, height=4.2, title=title) as ax:
        ax.plot(np.arange(len(smooth)) + width, smooth, color=BLUE, label="training, running mean")
        ax.plot(*zip(*measured.items(), strict=True), "o-", color=ORANGE, label="validation")
        ax.axhline(log(characters), color=GREY, linestyle="--", label="every character alike")
        ax.set(xlabel="update", ylabel="loss, nats a character")
        ax.legend()


if __name__ == "__main__":
    main()
