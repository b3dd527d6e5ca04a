import EventLoops

/// Begins `body` for every item in the same tick, so that their commands leave in one write, and waits for all. The results
/// are in the order of the items.
func together<Item, Value>(
    _ items: [Item], on loop: EventLoop, _ body: @escaping (Item) async -> Value
) async -> [Value] {
    guard !items.isEmpty else { return [] }
    return await suspend { resume in
        var values: [Value?] = Array(repeating: nil, count: items.count)
        var missing = items.count
        for (i, item) in items.enumerated() {
            loop.spawn {
                values[i] = await body(item)
                missing -= 1
                if missing == 0 { resume(values.map { $0! }) }
            }
        }
    }
}

/// The same where `body` may fail: all are waited for, then the first failure is thrown.
func together<Item, Value>(
    _ items: [Item], on loop: EventLoop, _ body: @escaping (Item) async throws -> Value
) async throws -> [Value] {
    let results = await together(items, on: loop) { item -> Result<Value, any Error> in
        do { return .success(try await body(item)) } catch { return .failure(error) }
    }
    return try results.map { try $0.get() }
}

/// The same in parts, so that a long list neither fills the connections nor keeps the loop from its other work.
func inParts<Item, Value>(
    _ items: [Item], of count: Int = 100, on loop: EventLoop, _ body: @escaping (Item) async throws -> Value
) async throws -> [Value] {
    var values: [Value] = []
    values.reserveCapacity(items.count)
    var slices = WorkSlices(loop)
    var rest = items[...]
    while !rest.isEmpty {
        values += try await together(Array(rest.prefix(count)), on: loop, body)
        rest = rest.dropFirst(count)
        await slices.pauseIfLong()
    }
    return values
}
