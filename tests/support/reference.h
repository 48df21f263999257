#pragma once
// Why: a test that cannot run on the reference machine (Debian 12, root) is a failure there; elsewhere it is skipped.

#include <gtest/gtest.h>
#include <unistd.h>

#define HF_NEEDS(condition, what)            \
  do {                                       \
    if (!(condition)) {                      \
      if (::geteuid() == 0) {                \
        FAIL() << "needs: " << (what);       \
      } else {                               \
        GTEST_SKIP() << "needs: " << (what); \
      }                                      \
    }                                        \
  } while (false)

/// What even a full Debian may lack, like IPv6 switched off in the kernel: then the test is skipped anywhere.
#define HF_MAY_LACK(condition, what)                       \
  do {                                                     \
    if (!(condition)) GTEST_SKIP() << "lacks: " << (what); \
  } while (false)
