/// Which slots a request that lies in several is asked at next, and which give back: the states of a `SpreadCheck`, which
/// performs the steps.
///
/// The parts with enforcing rules are asked one after the other, so that a request that is refused by its own limit never
/// touches what it shares with others. Once all of them allow it, the parts with shadow rules alone are asked, all at
/// once. After a refusal, what was consumed goes back, and the other parts are looked at, since the answer tells of every
/// rule.
struct SpreadState {
    enum Step: Equatable {
        /// Decide and consume.
        case ask(Int)
        /// Decide and consume nothing.
        case look(Int)
        /// Give back what the part has consumed.
        case giveBack(Int)
        case finish
    }

    enum Word {
        case allowed
        case refused
        /// Redis did not decide, and the failure modes let it pass.
        case unknown
        /// Redis did not decide, and a failure mode refuses: that is the answer, whatever others say.
        case ended
    }

    private enum Phase { case asking, closing }

    private let enforcing: Int
    private let total: Int
    private let isPeek: Bool
    private var phase = Phase.asking
    /// Answers that are missing before the end.
    private var missing = 0
    /// By part: whether it has consumed, and whether it is known not to answer.
    private var consumed: [Bool]
    private var isSilent: [Bool]

    /// - Parameters:
    ///   - enforcing: the parts with enforcing rules, which come first.
    ///   - total: all parts.
    init(enforcing: Int, total: Int, isPeek: Bool) {
        self.enforcing = enforcing
        self.total = total
        self.isPeek = isPeek
        consumed = Array(repeating: false, count: total)
        isSilent = consumed
    }

    mutating func begin() -> [Step] {
        if isPeek { return close((0..<total).map { .look($0) }) }
        return enforcing > 0 ? [.ask(0)] : close((0..<total).map { .ask($0) })
    }

    /// What follows from a part's answer to `ask` or `look`.
    mutating func answered(_ part: Int, _ word: Word) -> [Step] {
        if phase == .closing {
            missing -= 1
            return missing == 0 ? [.finish] : []
        }
        switch word {
        case .allowed: consumed[part] = true
        case .unknown: isSilent[part] = true
        case .refused:
            let others = (0..<total).filter { $0 != part && !isSilent[$0] }
            return returns() + close(others.map { .look($0) })
        case .ended: return returns() + close([])
        }
        if part + 1 < enforcing { return [.ask(part + 1)] }
        return close((enforcing..<total).map { .ask($0) })
    }

    private func returns() -> [Step] { consumed.indices.filter { consumed[$0] }.map { .giveBack($0) } }

    /// The last steps: the end comes with the last of their answers.
    private mutating func close(_ steps: [Step]) -> [Step] {
        phase = .closing
        missing = steps.count
        return steps.isEmpty ? [.finish] : steps
    }
}
