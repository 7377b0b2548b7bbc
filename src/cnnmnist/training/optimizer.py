"""Optimizer: Adam, and the learning rate of each step."""

import math
from collections.abc import Callable
from functools import partial

from cnnmnist.config import TrainingConfig
from cnnmnist.runtime import tf


def learning_rate(config: TrainingConfig, iteration: tf.Tensor | int) -> tf.Tensor:
    """Compute Adam's step size, float32 scalar, for the step after ``iteration`` steps.

    The one-cycle schedule (Smith, 2018, https://arxiv.org/abs/1803.09820) rises linearly to the peak during the
    warm-up, and falls to zero on a half cosine.
    """
    if config.schedule == "constant":
        return tf.constant(config.learning_rate, tf.float32)
    done = (tf.cast(iteration, tf.float32) + 1.0) / (config.iterations + 1.0)
    rising = done / max(config.warmup, 1e-9)
    falling = 0.5 + 0.5 * tf.cos(math.pi * (done - config.warmup) / max(1.0 - config.warmup, 1e-9))
    return config.learning_rate * tf.where(done < config.warmup, rising, falling)


class Adam:
    """Adam with decoupled weight decay, in one fused TensorFlow kernel for each weight array.

    It computes the same update as ``keras.optimizers.Adam``, to float32 rounding, at a fraction of its cost.
    Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980 (the form at the end of section 2, with epsilon outside
    of the bias correction); Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101.
    """

    def __init__(self, config: TrainingConfig, variables: list[tf.Variable]) -> None:
        self.config = config
        self.rate: Callable[[tf.Tensor], tf.Tensor] = partial(learning_rate, config)
        """The step size of the step after so many steps."""
        self.variables = variables
        self.means = [tf.Variable(tf.zeros_like(each), name="adam_mean") for each in variables]
        self.squares = [tf.Variable(tf.zeros_like(each), name="adam_square") for each in variables]

    def apply(self, gradients: list[tf.Tensor], iteration: tf.Tensor) -> None:
        """Take a step after ``iteration`` steps, a scalar."""
        config = self.config
        rate = self.rate(iteration)
        step = tf.cast(iteration + 1, tf.float32)
        decays = [tf.constant(config.beta_1), tf.constant(config.beta_2)]
        powers = [tf.pow(decay, step) for decay in decays]
        for variable, mean, square, gradient in zip(
            self.variables, self.means, self.squares, gradients, strict=True
        ):
            if config.weight_decay and len(variable.shape) > 1:
                variable.assign_sub(variable * (rate * config.weight_decay))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=decays[0],
                beta2=decays[1],
                epsilon=config.epsilon,
                grad=gradient,
            )
