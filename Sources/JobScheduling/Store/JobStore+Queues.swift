import EventLoops

extension JobStore {
    /// Does `body` for each of `subjects`, queues mostly, at the same time: their commands are written together, and one that
    /// cannot be reached keeps none of the others waiting. The results are in the order of the subjects.
    func each<Subject, Value>(
        _ subjects: [Subject], _ body: @escaping (Subject) async throws -> Value
    ) async -> [Result<Value, any Error>] {
        if subjects.isEmpty { return [] }
        let gathering = Gathering<Value>(subjects.count)
        await suspend { (resume: @escaping (()) -> Void) in
            for (i, subject) in subjects.enumerated() {
                context.loop.spawn {
                    do { gathering.results[i] = .success(try await body(subject)) } catch {
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
