/// Something that must hold whatever was done to the fleet, and whether it did.
struct Law: Equatable {
    let name: String
    /// What was looked at, in a few words: `240 keys`.
    let about: String
    /// What breaks it, the first ones in words; empty: it holds.
    var violations: [String] = []
    var violationCount = 0
    /// What was acknowledged and is gone, where that may be: it is counted, and breaks nothing.
    var lost = 0

    var holds: Bool { violationCount == 0 }

    init(_ name: String, about: String) {
        self.name = name
        self.about = about
    }

    /// Only the first ones are kept in words.
    mutating func violated(_ words: @autoclosure () -> String) {
        violationCount += 1
        if violations.count < 5 { violations.append(words()) }
    }

    /// What is gone: a loss where that may be, else a violation.
    mutating func missing(_ words: @autoclosure () -> String, mayLose: Bool) {
        if mayLose { lost += 1 } else { violated(words()) }
    }
}

extension RunRecord {
    /// Whether what was acknowledged may be gone: Redis was hit, and nobody had asked for more than its memory.
    var toleratesLoss: Bool { head.mayLose && head.durability == "memory" }
}
