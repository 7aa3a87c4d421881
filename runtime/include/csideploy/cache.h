/* A bounded, exact cache in front of a part with one input, one sample a call: a part's outputs
   follow from its input's bytes alone, so that a call with bytes that were seen lately is a
   comparison and a copy. It pays where inputs are few, as codebook indices, and the part is slow.

       csd_cache cache;
       status = csd_cache_open(&cache, &part, memory, csd_cache_bytes(&part, 256));
       if (status == CSD_OK)
           status = csd_cache_run(&cache, payload, outputs);

   The caller owns the memory, of any alignment; part and memory must outlive the cache. One thread
   at a time, as for the part. */
#ifndef CSIDEPLOY_CACHE_H
#define CSIDEPLOY_CACHE_H

#include "csideploy/csideploy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read `hits` and `misses`, write none. */
typedef struct csd_cache {
    csd_part *part;
    uint8_t *memory; /* a byte a pair, then the pairs: twice (input, outputs) */
    size_t pairs;    /* a power of two */
    size_t key;      /* bytes of the input */
    size_t entry;    /* bytes of input and outputs */
    uint64_t hits;
    uint64_t misses; /* calls that ran the part */
} csd_cache;

/* Bytes for at least so many entries, two and a power of two; 0 for a part that no cache fits:
   of several inputs or a number of users that varies, or where the bytes are too many. */
size_t csd_cache_bytes(const csd_part *part, size_t entries);

/* An empty cache of as many entries as fit. BAD_CALL: no cache fits the part; ARENA_SMALL: the
   memory holds no two entries. */
csd_status csd_cache_open(csd_cache *cache, csd_part *part, void *memory, size_t bytes);

/* The bits that csd_run gives for one sample, `outputs` in the order of the interface. What csd_run
   refuses is not stored. */
csd_status csd_cache_run(csd_cache *cache, const void *input, void *const *outputs);

#ifdef __cplusplus
}
#endif

#endif
