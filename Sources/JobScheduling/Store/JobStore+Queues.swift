import EventLoops

extension JobStore {
    /// Does `body` for each of the queues at the same time, so that one that cannot be reached keeps none of the others
    /// waiting. The results are in the order of the queues.
    func each<Value>(
        _ queues: [QueueName], _ body: @escaping (QueueName) async throws -> Value
    ) async -> [Result<Value, any Error>] {
        if queues.isEmpty { return [] }
        let gathering = Gathering<Value>(queues.count)
        await suspend { (resume: @escaping (()) -> Void) in
            for (i, queue) in queues.enumerated() {
                context.loop.spawn {
                    do { gathering.results[i] = .success(try await body(queue)) } catch {
                        gathering.results[i] = .failure(error)
                    }
                    gathering.missing -= 1
                    if gathering.missing == 0 { resume(()) }
                }
            }
        }
        return gathering.results.map { $0! }
    }

    private final class Gathering<Value> {
        var results: [Result<Value, any Error>?]
        var missing: Int

        init(_ count: Int) {
            results = Array(repeating: nil, count: count)
            missing = count
        }
    }
}
