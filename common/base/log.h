#pragma once
// Why: one event a line, logfmt or JSON, to stderr, at journald's priorities. The only user of spdlog is log.cc.
// The server's logs know no customer file names: pass ids.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace holdfast::log {

enum class Level { Debug, Info, Warning, Error };
enum class Format { Logfmt, Json };

struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  template <class N>
    requires std::is_arithmetic_v<N>
  Field(std::string_view k, N v) : key(k), value(std::to_string(v)) {}
};

/// Call once before threads start. UTC stamps unless stderr is the journal ($JOURNAL_STREAM), then "<n>" priorities.
void init(Level least, Format format);
/// From now on. Thread-safe.
void set_level(Level least);
/// Thread-safe. `event` is a short constant phrase; what varies goes into fields.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void debug(std::string_view e, std::initializer_list<Field> f = {}) { write(Level::Debug, e, f); }
inline void info(std::string_view e, std::initializer_list<Field> f = {}) { write(Level::Info, e, f); }
inline void warning(std::string_view e, std::initializer_list<Field> f = {}) { write(Level::Warning, e, f); }
inline void error(std::string_view e, std::initializer_list<Field> f = {}) { write(Level::Error, e, f); }

}  // namespace holdfast::log
