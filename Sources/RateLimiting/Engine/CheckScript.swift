import Redis

/// Writes the call of the check scripts.
///
/// KEYS: per subject, one key per rule. ARGV: now (µs, empty for Redis's clock), flags; for several rules how many are
/// enforcing and how many there are; per rule its parameters (for several rules after the strategy's name); then, unless
/// every subject has one request of cost 1, per subject how many requests and their costs.
enum CheckScript {
    static func encode(_ batch: CheckBatch, to writer: RESPWriter) {
        let policies = batch.policies
        let parameters = policies.rules.reduce(0) { $0 + $1.parameterCount }
        let head = policies.isSingle ? 2 : 4 + policies.rules.count
        let script =
            policies.isSingle ? RateLimitScripts.single[policies.rules[0].strategy!.name]! : RateLimitScripts.composed
        writer.script(
            script, keyCount: batch.keyCount,
            argumentCount: head + parameters + (batch.isPlain ? 0 : batch.subjectCount + batch.requestCount))
        for i in 0..<batch.keyCount { writer.argument(batch.key(i)) }
        if let nowUs = batch.givenNowUs { writer.argument(decimal: nowUs) } else { writer.argument("" as StaticString) }
        writer.argument(flags(batch))
        if !policies.isSingle {
            writer.argument(decimal: policies.enforcingCount)
            writer.argument(decimal: policies.rules.count)
        }
        for rule in policies.rules {
            if !policies.isSingle { writer.argument(rule.strategy!.name.rawValue) }
            rule.appendParameters(periods: batch.periods[rule.index] ?? [], leasePrefix: batch.leasePrefix ?? "") {
                $0.append(to: writer)
            }
        }
        if batch.isPlain { return }
        batch.forEachCost(count: { writer.argument(decimal: $0) }, cost: { writer.argument(decimal: $0) })
    }

    private static func flags(_ batch: CheckBatch) -> StaticString {
        switch (batch.isPeek, batch.givenNowUs != nil) {
        case (false, false): ""
        case (true, false): "peek"
        case (false, true): "ttl"
        case (true, true): "peek,ttl"
        }
    }
}

/// Writes the arguments of the refund script: now, amount, the receipt's time, what is marked, then per rule its strategy
/// and parameters.
enum RefundScript {
    static func arguments(
        _ policies: PolicySet, amount: Int, receiptUs: Int?, marksReceipts: Bool = false, bodyDigest: String = "",
        periods: [Int32: [Int64]]
    ) -> [String] {
        var arguments = [
            "", String(amount), receiptUs.map { String($0) } ?? "", marksReceipts ? "once" : "", bodyDigest,
        ]
        for rule in policies.rules {
            arguments.append(rule.strategy!.name.rawValue)
            rule.appendParameters(periods: periods[rule.index] ?? [], leasePrefix: "") { arguments.append($0.text) }
        }
        return arguments
    }
}

/// One parameter of a strategy.
enum Parameter {
    case number(Int)
    case word(String)

    var text: String {
        switch self {
        case .number(let number): String(number)
        case .word(let word): word
        }
    }

    func append(to writer: RESPWriter) {
        switch self {
        case .number(let number): writer.argument(decimal: number)
        case .word(let word): writer.argument(word)
        }
    }
}

extension CompiledRule {
    /// How many parameters the strategy has.
    var parameterCount: Int {
        switch strategy! {
        case .tokenBucket: 4
        case .slidingWindow, .slidingWindowCounter, .fixedWindow: 2
        case .quota: 5
        case .concurrency: 3
        }
    }

    /// Calls `body` with each parameter, in the order of the strategy's file.
    @inline(__always)
    func appendParameters(periods: [Int64], leasePrefix: String, _ body: (Parameter) -> Void) {
        switch strategy! {
        case .tokenBucket(_, _, let burst, let initial):
            body(.number(refill.rate))
            body(.number(refill.unit))
            body(.number(burst))
            body(.number(initial))
        case .slidingWindow(let limit, let windowMs), .slidingWindowCounter(let limit, let windowMs),
            .fixedWindow(let limit, let windowMs):
            body(.number(limit))
            body(.number(windowMs * 1000))
        case .quota(let limit, _, _):
            body(.number(limit))
            for start in periods { body(.number(Int(start))) }
        case .concurrency(let limit, let maxLeaseMs):
            body(.number(limit))
            body(.number(maxLeaseMs * 1000))
            body(.word(leasePrefix))
        }
    }
}
