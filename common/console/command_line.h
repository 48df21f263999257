#pragma once
// Why: what CLI11 says about a command line it does not take, made a sentence that names the word that is wrong and the
// words that are right.

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace holdfast::console {

/// One line without its end. `app`: the one that has just refused to parse.
std::string usage_text(const CLI::App& app, const CLI::ParseError& refusal);

}  // namespace holdfast::console
