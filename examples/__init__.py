"""The models of five documents on logistic regression, rebuilt on tinygrad_lr; begin with `hello`.

- 000: Dennis Bakhuis, "A logistic regression from scratch: translate Tensorflow to plain Numpy",
  17 May 2020; notebook in https://github.com/dennisbakhuis/Tutorials
- 001: "Coding a Simple Logistic Regression in NumPy", 19 December 2018,
  https://ashukid.github.io; code in https://github.com/ashukid/Neural_Networks_using_Numpy
- 002: Saransh Chopra, "Implementing logistic regression as a neural network from scratch",
  17 October 2021; code in https://github.com/Saransh-cpp/LearningProjects
- 003: Goku Mohandas, "Logistic regression", https://madewithml.com, 2023
- 004: a notebook "Logistic Regression", author and address unknown
"""
