"""The same as examples/digits_classifier.py in PyTorch, for a comparison in the tests."""

import os

import numpy as np
import torch
from sklearn.datasets import load_digits

PATH = "output/digits.pt"


def main(epochs=60, patience=8, path=PATH):
    """The accuracy on 497 digits; started again, a training goes on where it was stopped."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    train, valid, test = (
        (torch.tensor(X[rows] / 16), torch.tensor(y[rows]))
        for rows in np.split(order, [1000, 1300])
    )
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(64, 10),
    ).double()
    adam = torch.optim.AdamW(model.parameters(), lr=5e-3)
    warmup = torch.optim.lr_scheduler.LinearLR(adam, 1 / 4, total_iters=3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs)
    schedule = torch.optim.lr_scheduler.SequentialLR(adam, [warmup, cosine], milestones=[3])
    loss = torch.nn.CrossEntropyLoss()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*train), 32, shuffle=True)
    parts = {"model": model, "adam": adam, "schedule": schedule}
    start, best, best_value, wait = 0, model.state_dict(), np.inf, 0
    if os.path.exists(path):
        saved = torch.load(path, weights_only=False)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        start, best, best_value, wait = saved["progress"]
        torch.set_rng_state(saved["rng"])
    for epoch in range(start, epochs):
        if wait >= patience:
            break
        model.train()
        for inputs, target in loader:
            adam.zero_grad()
            loss(model(inputs), target).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            value = loss(model(valid[0]), valid[1]).item()
        wait += 1
        if value < best_value:
            best_value, wait = value, 0
            best = {name: x.clone() for name, x in model.state_dict().items()}
        saved = {name: part.state_dict() for name, part in parts.items()}
        saved["progress"] = epoch + 1, best, best_value, wait
        torch.save(saved | {"rng": torch.get_rng_state()}, path)
    model.load_state_dict(best)
    model.eval()
    with torch.no_grad():
        accuracy = (model(test[0]).argmax(dim=1) == test[1]).double().mean().item()
    print(f"{accuracy:.1%} of {len(test[0])} digits are right")
    return accuracy


if __name__ == "__main__":
    os.makedirs("output", exist_ok=True)
    main()
