"""The examples of documents 003 and 004, piece by piece, against the documents' numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tinygrad_lr as tg
from examples import toy, tumors


@pytest.fixture(scope="module")
def data():
    return tumors.prepare(np.random.default_rng(tumors.SEED))


# Document 003


@pytest.mark.parametrize(
    "name, count, mean, covariance",
    [
        ("benign", 389, [17.699659607, 14.726397413], [3.139163317, 0.725220628, 0.966297668]),
        ("malignant", 611, [13.202378831, 15.741457812], [4.331941918, 0.464193953, 0.915158549]),
    ],
)
@pytest.mark.parametrize("seed", [tumors.SEED, 1, 2, 3])
def test_tumors_resemble_the_documents(seed, name, count, mean, covariance):
    X, y = tumors.draw_tumors(np.random.default_rng(seed))
    assert X.shape == (1000, 2)
    X = X[y == name]
    xx, xy, yy = covariance
    spread = np.sqrt([xx * xx * 2, xx * yy + xy * xy, yy * yy * 2])
    assert len(X) == count
    # Two samples are compared, and each has its own error: 4 standard deviations of a difference.
    assert np.all(np.abs(X.mean(axis=0) - mean) < 4 * np.sqrt([2 * xx / count, 2 * yy / count]))
    off = np.cov(X.T)[[0, 0, 1], [0, 1, 1]] - covariance
    assert np.all(np.abs(off) < 4 * spread * np.sqrt(2 / count))


def test_classes_of_tumors_are_divided_by_the_documents_line():
    X, y = tumors.draw_tumors(np.random.default_rng(tumors.SEED))
    assert 0.98 < np.mean((X[:, 1] - X[:, 0] > -0.57) == (y == "malignant")) <= 1


def test_label_encoder():
    encoder = tumors.LabelEncoder().fit(["malignant", "benign", "benign"])
    assert encoder.class_to_index == {"benign": 0, "malignant": 1}
    assert encoder.encode(["malignant", "benign"]).tolist() == [1, 0]
    assert encoder.decode(np.array([1, 0])) == ["malignant", "benign"]


def test_splits_and_class_weights_are_the_documents(data):
    raw, X, y, _, encoder = data
    counts = {split: np.bincount(labels).tolist() for split, labels in y.items()}
    assert counts == {"train": [272, 428], "val": [59, 91], "test": [58, 92]}
    assert [x.shape for x in raw.values()] == [(700, 2), (150, 2), (150, 2)]
    assert 1 / np.bincount(y["train"]) == pytest.approx(
        [0.003676470588235294, 0.002336448598130841], rel=1e-15
    )
    assert encoder.classes == ["benign", "malignant"]
    assert X["train"].mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert X["train"].std(axis=0) == pytest.approx([1, 1], rel=1e-12)


def test_start_is_the_documents():
    tumors.prepare(np.random.default_rng(0))
    first, second = tumors.start()[0].data, tumors.start()[0].data
    assert first.ravel() == pytest.approx(
        [-0.01928744481163381, -0.016719272847377217, 0.015565809064506374, -0.012657615236663476],
        rel=1e-14,
    )
    assert second.ravel() == pytest.approx(
        [0.0023454710099675763, -0.013548524521948616]
        + [-0.018213037969273826, -0.004328895014806606],
        rel=1e-14,
    )


def test_numpy_form_on_other_tables():
    losses = []
    for seed in range(10):
        _, X, y, *_ = tumors.prepare(np.random.default_rng(seed))
        losses.append(tumors.numpy_form(X, y)[2].loss)
    assert np.mean(losses) == pytest.approx(0.2455, abs=3 * 0.0065 * np.sqrt(1 / 10 + 1 / 40))


def test_unstandardized_weights_of_the_document():
    scaler = tumors.StandardScaler()
    scaler.mean_ = np.array([15.022214110639299, 15.385357188822715])
    scaler.scale_ = np.array([2.951909181588099, 1.0868370465887702])
    W = np.array(
        [[1.8095121578218145, -1.2884555311162813], [-2.815267701530616, 0.96112152945593]]
    )
    b = np.array([-0.8227108261591976, 0.481808229447085])
    W_unscaled, b_unscaled = tumors.unstandardize(W.T, b, scaler)
    assert W_unscaled.T.ravel() == pytest.approx(
        [0.6129972321331086, -1.1855093964272991, -0.9537108116639377, 0.8843290100135833]
    )
    assert b_unscaled == pytest.approx([8.208199018247608, 1.2029385503973886], rel=1e-12)
    probabilities = tg.softmax(tumors.forward(np.array([13.0, 12.0]), W_unscaled, b_unscaled))
    assert probabilities == pytest.approx([0.9265187601157042, 0.07348123988429577], rel=1e-12)


def test_unstandardized_weights_give_the_same_logits(data):
    raw, X, _, scaler, _ = data
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((2, 3)), rng.standard_normal(3)
    logits = tumors.forward(raw["test"], *tumors.unstandardize(W, b, scaler))
    np.testing.assert_allclose(logits, tumors.forward(X["test"], W, b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("class_weights", [np.ones(3), np.array([0.5, 2.0, 1.0])])
def test_gradient_derived_by_hand_for_three_classes(class_weights):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((7, 2)), np.array([0, 1, 2, 2, 1, 0, 1])
    W = tg.Tensor(rng.standard_normal((2, 3)), requires_grad=True)
    b = tg.Tensor(rng.standard_normal((1, 3)), requires_grad=True)
    logits = tumors.forward(X, W, b)
    ours = tg.grad(tg.cross_entropy(logits, y, weight=class_weights), [W, b])
    by_hand = tumors.backward(X, y, logits.data, class_weights)
    assert tumors.gradient_difference(ours, by_hand) < 1e-14


def test_loss_of_the_documents_logits():
    row = tumors.ce_demo()
    assert row.loss == pytest.approx(1.277909153054542, rel=1e-14)
    assert row.agrees


def test_accuracy_fn():
    accuracy = tumors.accuracy_fn(np.array([0, 0, 1]), np.array([1, 1, 1]))
    assert accuracy == pytest.approx(33.33333333333333, rel=1e-14)


def test_metrics_count_what_they_should():
    metrics = tumors.get_metrics(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1]), ["b", "m"])
    assert metrics["b"] == pytest.approx([1, 2 / 3, 0.8])
    assert metrics["m"] == pytest.approx([2 / 3, 1, 0.8])
    assert metrics["overall"] == pytest.approx([13 / 15, 0.8, 0.8])


# Document 004


def test_printed_samples():
    row = toy.printed_samples()
    assert row.loss == pytest.approx(37.24312829622373, rel=1e-14)
    assert row.agrees

    a, L, da, dz = toy.derivatives(toy.z_PRINTED, toy.Y_PRINTED)
    assert a[:3] == pytest.approx([0.7860172425225915, 0.9662998011081251, 0.908299953253208])
    assert np.abs(-L - toy.L_PRINTED).max() < 1e-8
    assert dz[:3] == pytest.approx(
        [0.7860172425225915, -0.03370019889187492, 0.908299953253208], rel=1e-13
    )
    assert da[:3] == pytest.approx(
        [4.673273733775378, -1.034875510533303, 10.90511984973425], rel=1e-13
    )
    # The document's sign is right only where Y is 0.
    a_document = toy.Y_PRINTED / a + (1 - toy.Y_PRINTED) / (1 - a)
    assert np.sum(np.isclose(a_document * a * (1 - a), dz)) == np.sum(toy.Y_PRINTED == 0) == 13


@pytest.mark.parametrize(
    "pred, y, loss",
    [
        (1e-6, 0, 1.000000500029089e-06),
        (0.9999999, 1, 1.0000000494736474e-07),
        (0.3, 0, 0.35667494393873245),
    ],
)
def test_neg_log_loss(pred, y, loss):
    assert toy.neg_log_loss(tg.Tensor(pred), y).item() == pytest.approx(loss, rel=1e-9)


def test_cases_of_the_document(capsys):
    toy.test_sigmoid()
    toy.test_neg_log_loss()
    assert "sigmoid(-100) = 3.720075976e-44" in capsys.readouterr().out


@pytest.mark.parametrize("input_dim", [3, 50])
def test_for_loop_and_matrices_train_alike(input_dim):
    trained = []
    for train in (toy.train_with_for_loop, toy.train):
        X, Y, W, B = toy.start(input_dim, seed=0)
        costs, difference = train(X, Y, W, B, l_r=0.01, epoch_num=4)
        assert difference < 1e-12
        trained.append([*costs, *W.data.ravel(), *B.data])
    assert trained[0] == pytest.approx(trained[1], rel=1e-9)


X_LAST = np.array([[1.0, 0, 0], [2.0, 0, 1], [3.0, 1, 0]])
Y_LAST = np.array([[0, 0, 1]])
W_LAST = np.array([[-0.942079463991822, 0.34282379897639415, 0.9641644724415083]])


def test_last_cells(capsys):
    row = toy.last_cells()
    plt.close()
    assert row.loss == pytest.approx(0.10346427009955754, rel=1e-12)
    text = capsys.readouterr().out
    assert "loss 1.07605307398 -> 0.1034642701 in 37 epochs" in text
    assert "W = [[ 0.41412151  3.30736928 -1.33089517]], b = [-2.27783036]" in text


def test_last_cells_gradient_and_weights():
    W, b = tg.Tensor(W_LAST, requires_grad=True), tg.Tensor([0.0], requires_grad=True)
    total_cost = toy.cost(X_LAST.T, Y_LAST, W, b)
    dW, db = tg.grad(total_cost / 3, [W, b])
    assert total_cost.item() / 3 == pytest.approx(1.0760530739811518, rel=1e-14)
    assert dW.tolist() == [
        pytest.approx([-0.6395047313052695, -0.3076569704384684, 0.09498634134062124], rel=1e-13)
    ]
    assert db == pytest.approx([-0.11917713176895399], rel=1e-13)

    costs, _ = toy.train(X_LAST.T, Y_LAST, W, b, l_r=1.0, epoch_num=37)
    assert costs[36] / 3 == pytest.approx(0.10346427009955754, rel=1e-12)
    assert W.data[0] == pytest.approx(
        [0.4141215076157626, 3.307369282937237, -1.3308951660790422], rel=1e-9
    )
    assert b.data == pytest.approx([-2.277830357793552], rel=1e-9)


def test_last_cells_as_the_document_has_them():
    W, b = W_LAST, np.zeros((1, 1))
    for _ in range(37):
        A = toy.sigmoid(W @ X_LAST.T + b)
        dZ = A - Y_LAST
        W, b = W - dZ * X_LAST, b - dZ
    assert W.shape == (3, 3)
    assert toy.neg_log_loss(A, Y_LAST).mean() == pytest.approx(0.042024429071527564, rel=1e-8)
