from model_training.checks.checks import main

raise SystemExit(main())
