/* Rows and tiles one after the other, where an instruction set has registers for one tile of one row:
   add_tile_row is its own, and stands before this. */
#ifndef CSIDEPLOY_SIGN_ROWS_H
#define CSIDEPLOY_SIGN_ROWS_H

static void add_tile(float *y, size_t y_step, size_t left, int first, const four_sums *tables,
                     const uint16_t *words, size_t steps, size_t pitch, size_t rows) {
    for (size_t r = 0; r < rows; r++)
        add_tile_row(y + r * y_step, left, first, tables + r * (CHUNK / 4u), words, steps, pitch);
}

CSD_INLINE void add_strip(float *y, size_t y_step, size_t left, int first, const four_sums *tables,
                          const uint16_t *words, size_t steps, size_t pitch, size_t rows) {
    for (size_t v = 0; v < CSD_SIGN_STRIP; v++)
        add_tile(y + v * CSD_SIGN_TILE, y_step, left - v * CSD_SIGN_TILE, first, tables,
                 words + v * CSD_SIGN_TILE, steps, pitch, rows);
}

#endif
