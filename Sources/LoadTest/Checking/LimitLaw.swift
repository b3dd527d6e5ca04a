/// Never more allowed than the limit, by the clients' own clocks.
///
/// An allowed check was decided somewhere between its sending and its answer. So in any time from t1 to t2 those that were
/// sent after t1 and answered before t2 were all decided within it, and may be no more than the rule permits in that time.
enum LimitLaw {
    /// A key's answers are looked at over at most so many at a time, and as a whole.
    private static let widest = 400

    static func judge(_ record: RunRecord) -> Law {
        var law = Law("never more than the limit", about: "\(record.allowed.count) keys")
        for (name, answers) in record.allowed.sorted(by: { $0.key < $1.key }) {
            guard let limit = record.limits.first(where: { name.hasPrefix($0.name + " ") }) else { continue }
            let excess = excess(answers, limit)
            guard excess > 0 else { continue }
            // A failover takes the last counts with it, and no check can ask for more.
            if record.head.mayLose { law.lost += excess } else { law.violated("\(name): \(excess) too many") }
        }
        return law
    }

    /// How many more were allowed than may be, at the worst place; 0: none.
    static func excess(_ answers: [RunRecord.Allowed], _ limit: RunRecord.Limit) -> Int {
        let byAnswer = answers.sorted { $0.answeredUs < $1.answeredUs }
        var worst = 0
        for first in answers {
            var count = 0
            var at = lowerBound(byAnswer, first.sentUs)
            while at < byAnswer.count, count < widest {
                if byAnswer[at].sentUs >= first.sentUs {
                    count += 1
                    worst = max(worst, count - permits(limit, from: first.sentUs, to: byAnswer[at].answeredUs))
                }
                at += 1
            }
        }
        if let from = answers.map(\.sentUs).min(), let to = byAnswer.last?.answeredUs {
            worst = max(worst, answers.count - permits(limit, from: from, to: to))
        }
        return worst
    }

    /// How many a rule lets through at most from one moment to another, both included.
    static func permits(_ limit: RunRecord.Limit, from: Int64, to: Int64) -> Int {
        switch limit.shape {
        case .bucket: limit.burst + Int((to - from) * Int64(limit.limit) / limit.windowUs)
        case .window: limit.limit * Int(to / limit.windowUs - from / limit.windowUs + 1)
        }
    }

    private static func lowerBound(_ sorted: [RunRecord.Allowed], _ us: Int64) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].answeredUs < us { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
