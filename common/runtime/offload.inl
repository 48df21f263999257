#pragma once
#include <optional>
#include <tuple>

namespace holdfast::runtime {

template <class F, class... A>
auto offload(Pool& pool, F function, A... arguments) -> boost::asio::awaitable<std::invoke_result_t<F&, A&...>> {
  using R = std::invoke_result_t<F&, A&...>;
  // Shared with the job, which may still run while the caller is being destroyed.
  struct Call {
    F function;
    std::tuple<A...> arguments;
    std::optional<R> result;
  };
  auto call = std::make_shared<Call>(Call{std::move(function), std::tuple<A...>(std::move(arguments)...), std::nullopt});
  std::function<void()> job = [call] { call->result.emplace(std::apply(call->function, call->arguments)); };
  co_await run_on(pool, std::move(job));
  if (!call->result) co_return R(Error{Errc::Io, "a job of the pool ended by an exception"});
  co_return std::move(*call->result);
}

}  // namespace holdfast::runtime
