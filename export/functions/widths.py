"""The beginning that the bodies of codes with a number of bits each share."""

# In: widths; outputs int64 (1,) = M. Out: bits int64 (M,), sizes = 2^bits, and the constants axis,
# one, begin, last. From a table, since a power of integers is a float in some runtimes.
WIDTHS = """
  axis = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  begin = Constant <value = int64[1] {0}> ()
  last = Constant <value = int64[1] {-1}> ()
  four = Constant <value = uint8[1] {4}> ()
  nibble = Constant <value = uint8[1] {15}> ()
  powers = Constant <value = int64[9] {1, 2, 4, 8, 16, 32, 64, 128, 256}> ()
  high = BitShift <direction = "RIGHT"> (widths, four)
  low = BitwiseAnd (widths, nibble)
  high_column = Unsqueeze (high, last)
  low_column = Unsqueeze (low, last)
  pairs = Concat <axis = 1> (high_column, low_column)
  all_bits = Reshape (pairs, last)
  kept_bits = Slice (all_bits, begin, outputs)
  bits = Cast <to = 7> (kept_bits)
  sizes = Gather (powers, bits)
"""
