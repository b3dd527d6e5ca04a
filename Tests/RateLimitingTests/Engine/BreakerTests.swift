import Testing

@testable import RateLimiting

/// Every state with every event.
struct BreakerTests {
    private func closed(_ failures: Int) -> Breaker {
        var breaker = Breaker()
        for _ in 0..<failures { breaker.failed(nowUs: 1000) }
        return breaker
    }

    /// Open until 101,000.
    private var open: Breaker { closed(Breaker.failuresToOpen) }

    private var probing: Breaker {
        var breaker = open
        _ = breaker.mayCall(nowUs: 1000 + Breaker.openUs)
        return breaker
    }

    private func mayCall(_ breaker: inout Breaker, atUs nowUs: Int64, is expected: Bool) {
        let mayCall = breaker.mayCall(nowUs: nowUs)
        #expect(mayCall == expected)
    }

    @Test func closedCallsAndCountsFailuresInARow() {
        for failures in 0..<Breaker.failuresToOpen {
            var breaker = closed(failures)
            #expect(breaker.state == .closed(failures: failures))
            mayCall(&breaker, atUs: 0, is: true)
            #expect(breaker.state == .closed(failures: failures))
            breaker.succeeded()
            #expect(breaker.state == .closed(failures: 0))
        }
        #expect(open.state == .open(untilUs: 1000 + Breaker.openUs))
    }

    @Test func openWaitsThenLetsOneCallFindOut() {
        var breaker = open
        mayCall(&breaker, atUs: 1000, is: false)
        mayCall(&breaker, atUs: 999 + Breaker.openUs, is: false)
        #expect(breaker == open)
        mayCall(&breaker, atUs: 1000 + Breaker.openUs, is: true)
        #expect(breaker.state == .probing)
    }

    @Test func openIsNotProlongedByCallsThatWereOnTheirWay() {
        var breaker = open
        breaker.failed(nowUs: 50_000)
        #expect(breaker == open)
    }

    @Test func anAnswerClosesFromAnyState() {
        for var breaker in [closed(0), closed(2), open, probing] {
            breaker.succeeded()
            #expect(breaker == Breaker())
        }
    }

    @Test func probingLetsNobodyElseCall() {
        var breaker = probing
        mayCall(&breaker, atUs: .max, is: false)
        #expect(breaker.state == .probing)
    }

    @Test func aFailedProbeOpensAnew() {
        var breaker = probing
        breaker.failed(nowUs: 500_000)
        #expect(breaker.state == .open(untilUs: 500_000 + Breaker.openUs))
    }
}
