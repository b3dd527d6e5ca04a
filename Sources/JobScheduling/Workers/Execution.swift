import EventLoops
import JSON
import Services
import Telemetry

/// A run of a job on this loop.
final class Execution {
    /// Why it was told to end.
    enum Ending { case cancelled, preempted, timedOut, leaseLost, draining }

    let number: Int
    let token: Int
    let type: String
    let context: JobContext
    /// When Redis last confirmed the lease: the call's time of sending.
    var confirmedUs: Int64
    private(set) var ending: Ending?
    private(set) var isOver = false
    private var timer: LoopTimer?
    private let loop: EventLoop

    init(number: Int, token: Int, type: String, context: JobContext, confirmedUs: Int64) {
        self.number = number
        self.token = token
        self.type = type
        self.context = context
        self.confirmedUs = confirmedUs
        loop = context.loop
    }

    /// How long a kind may take to end once it is told to; then it is reported without it.
    private static let patienceUs: Int64 = 3_000_000

    /// Runs the job. `ended` is called once, with what is to be reported; nil when there is nobody to report to.
    func start(
        _ runner: any KindRunner, config: JSONValue, timeoutUs: Int64?,
        ended: @escaping (Execution, EndedExecution?) -> Void
    ) {
        if let timeoutUs {
            timer = loop.after(us: timeoutUs) { [weak self] in self?.end(.timedOut, ended) }
        }
        loop.spawn { [self] in
            do {
                let result = try await runner.run(config, context)
                if ending == .timedOut {
                    report(.timeout, "it took longer than its timeout", ended: ended)
                } else {
                    report(.completed, result?.text() ?? "", ended: ended)
                }
            } catch let failure as JobFailure where ending == nil {
                report(
                    failure.isPermanent ? .permanent : .failed, ErrorText.cleaned(failure.message),
                    retryAfterMs: failure.retryAfterMs, ended: ended)
            } catch  where ending == nil {
                report(.failed, ErrorText.cleaned("\(error)"), ended: ended)
            } catch { reportEnding(ended) }
        }
    }

    /// Tells the run to end; what it does about it is awaited for a while.
    func end(_ reason: Ending, _ ended: @escaping (Execution, EndedExecution?) -> Void) {
        guard ending == nil, !isOver else { return }
        ending = reason
        timer = loop.after(us: Execution.patienceUs) { [weak self] in self?.reportEnding(ended) }
        context.cancel()
    }

    private func reportEnding(_ ended: (Execution, EndedExecution?) -> Void) {
        switch ending {
        case .timedOut: report(.timeout, "it took longer than its timeout", ended: ended)
        case .cancelled: report(.cancelled, "", ended: ended)
        case .preempted, .draining, nil: report(.released, "", ended: ended)
        case .leaseLost:
            guard !isOver else { return }
            isOver = true
            timer = nil
            ended(self, nil)
        }
    }

    private func report(
        _ outcome: EndedExecution.Outcome, _ text: String, retryAfterMs: Int? = nil,
        ended: (Execution, EndedExecution?) -> Void
    ) {
        guard !isOver else { return }
        isOver = true
        timer = nil
        ended(
            self,
            EndedExecution(
                number: number, token: token, type: type, outcome: outcome, text: text, retryAfterMs: retryAfterMs))
    }
}
