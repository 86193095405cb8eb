"""The models of five documents on logistic regression, rebuilt on tinygrad_lr."""
