import Testing

@testable import RateLimiting

/// Every way in which the parts of a spread request can answer.
struct SpreadStateTests {
    /// What has happened on one way to the end.
    private struct Path {
        var state: SpreadState
        /// Steps whose answers are awaited, in the order in which they were taken.
        var open: [SpreadState.Step] = []
        var consumed: Set<Int> = []
        var givenBack: [Int] = []
        var looked: Set<Int> = []
        var words: [SpreadState.Word] = []
        var isFinished = false

        mutating func take(_ steps: [SpreadState.Step]) {
            for step in steps {
                #expect(!isFinished, "nothing comes after the end")
                switch step {
                case .ask: open.append(step)
                case .look(let part):
                    open.append(step)
                    #expect(looked.insert(part).inserted)
                case .giveBack(let part): givenBack.append(part)
                case .finish: isFinished = true
                }
            }
        }
    }

    /// Follows each answer that may come next; returns how many ways there are.
    private func explore(_ path: Path, enforcing: Int, total: Int, isPeek: Bool) -> Int {
        guard !path.open.isEmpty else {
            #expect(path.isFinished)
            expectWhole(path, enforcing: enforcing, total: total, isPeek: isPeek)
            return 1
        }
        #expect(!path.isFinished)
        var ways = 0
        for word in [SpreadState.Word.allowed, .refused, .unknown, .ended] {
            var next = path
            let step = next.open.removeFirst()
            switch step {
            case .ask(let part):
                // Shadow rules refuse nothing, and have no failure mode.
                if part >= enforcing, word == .refused || word == .ended { continue }
                if word == .allowed { next.consumed.insert(part) }
                next.words.append(word)
                next.take(next.state.answered(part, word))
            case .look(let part): next.take(next.state.answered(part, word))
            default: Issue.record("\(step) has no answer")
            }
            ways += explore(next, enforcing: enforcing, total: total, isPeek: isPeek)
        }
        return ways
    }

    private func expectWhole(_ path: Path, enforcing: Int, total: Int, isPeek: Bool) {
        let isRefused = path.words.contains(.refused) || path.words.contains(.ended)
        if isPeek {
            #expect(path.consumed.isEmpty && path.givenBack.isEmpty && path.looked.count == total)
        } else if isRefused {
            #expect(Set(path.givenBack) == path.consumed && path.givenBack.count == path.consumed.count)
        } else {
            #expect(path.givenBack.isEmpty && path.looked.isEmpty && path.words.count == total)
        }
        if path.words.contains(.refused) {
            // The one that refused and those that are silent have nothing more to say.
            let silent = path.words.count { $0 == .unknown }
            #expect(path.looked.count == total - 1 - silent)
        }
    }

    @Test(arguments: [false, true]) func everyWay(_ isPeek: Bool) {
        var ways = 0
        for enforcing in 0...3 {
            for total in max(enforcing, 1)...enforcing + 2 {
                var path = Path(state: SpreadState(enforcing: enforcing, total: total, isPeek: isPeek))
                path.take(path.state.begin())
                ways += explore(path, enforcing: enforcing, total: total, isPeek: isPeek)
            }
        }
        #expect(ways > 500)
    }

    @Test func theNextIsAskedOnceTheOneBeforeHasAllowed() {
        var state = SpreadState(enforcing: 2, total: 4, isPeek: false)
        #expect(state.begin() == [.ask(0)])
        #expect(state.answered(0, .allowed) == [.ask(1)])
        #expect(state.answered(1, .unknown) == [.ask(2), .ask(3)])
        #expect(state.answered(3, .allowed) == [])
        #expect(state.answered(2, .allowed) == [.finish])
    }

    @Test func aRefusalGivesBackBeforeItLooks() {
        var state = SpreadState(enforcing: 3, total: 4, isPeek: false)
        _ = state.begin()
        _ = state.answered(0, .allowed)
        _ = state.answered(1, .allowed)
        #expect(state.answered(2, .refused) == [.giveBack(0), .giveBack(1), .look(0), .look(1), .look(3)])
    }
}
