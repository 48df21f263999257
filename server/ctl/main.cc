#include <sys/stat.h>

#include <csignal>

#include "server/ctl/ctl.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(077);
  return holdfast::ctl::run(argc, argv);
}
