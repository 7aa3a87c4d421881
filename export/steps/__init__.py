"""How each ONNX operator becomes steps of the executor: one file a family.

A function here gets a `Site`: one node whose inputs and outputs have ONNX's shapes of one sample,
and writes the steps that compute it on stored tensors, which have the batch in front.
"""
