import EventLoops
import JobScheduling
import Telemetry
import TestSupport
import Testing

struct JobContextTests {
    private let thread = LoopThread()

    private static func context(_ loop: EventLoop) -> JobContext {
        JobContext(
            loop: loop, jobID: JobID("default-000000000001")!, token: 1, attempt: 1,
            log: Logger(level: .error, format: .text))
    }

    @Test func aSleepEndsWhenTheExecutionIsToldTo() async throws {
        let ended = await thread.run { [loop = thread.loop] () -> Bool in
            let context = JobContextTests.context(loop)
            let timer = loop.after(us: 1000) { context.cancel() }
            defer { withExtendedLifetime(timer) {} }
            do {
                try await context.sleep(us: 60_000_000)
                return false
            } catch { return error is JobCancelled }
        }
        #expect(ended)
    }

    @Test func handlersAreCalledOnceAndLateOnesAtOnce() async throws {
        let calls = await thread.run { [loop = thread.loop] () -> Int in
            let context = JobContextTests.context(loop)
            var calls = 0
            context.onCancel { calls += 1 }
            context.cancel()
            context.cancel()
            context.onCancel { calls += 10 }
            return calls
        }
        #expect(calls == 11)
    }
}
