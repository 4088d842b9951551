"""Plan → requests, by one protocol, which is all there is of recovery:

    intent     what is about to be sent is in the state, the delta file beside it          target._intent, _delete
    request    a line of the log says that it starts, the next what Batch took             sending.Sender._asked
    commit     one write of the state makes the delta a layer of the baseline              commit.committed

A process may die anywhere. Rows that the log acknowledges are told then; all others of the intent are *uncertain*
(`state.standing`), and stay so until a later intent asserts them: a plan compares with *baseline ⊕ acknowledged* and
adds everybody uncertain, as they should be now. Its intent takes the place of the one before in the same write. Rows
that are given up, a signal, a lock that is lost: each ends as a death there would.

What follows from it where it may look like an exception:

* An audience that starts anew (created, replaced) may hold everybody told until that is proven, by an empty audience or
  an acknowledged *replace*: until then they are uncertain. Recreated, it is deleted first, by an intent of its own.
* What a guard keeps back is not asserted: its uncertain rows stay uncertain. What it lets through is a small delta.
* A request that was not answered may still be processed, and what was answered may not be indexed: before another
  touches the same identifiers the one is waited out, the other waited for.
* A saved plan is not made anew. Its own intent goes on with the rows that no line acknowledges, what it has committed
  already is reported again, and everything else supersedes as above.
"""

from reconciler.apply.lanes import apply
from reconciler.apply.rejected import REFUSED
from reconciler.apply.settle import left_to_see
from reconciler.apply.tools import Progress, Tools

__all__ = ["REFUSED", "Progress", "Tools", "apply", "left_to_see"]
